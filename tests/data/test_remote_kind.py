"""data.kind=auto recognises shards in a bucket as it does on a disk."""

import json

import pytest

from rdc_jax.data.sources import kind_of, open_source
from rdc_jax.errors import RdcError
from tests import bucket_client


@pytest.fixture(scope="module")
def server():
    with bucket_client.serving() as running:
        yield running


def test_shards_are_recognised_by_manifest_and_name(server):
    manifest = json.dumps({"content": "latents", "shards": [1]}).encode()
    server.put("sets/latents/manifest.json", manifest)
    server.put("sets/photos/a.array_record-00000-of-00001", b"x")
    server.put("sets/images/a.png", b"x")
    assert kind_of("auto", "gs://sets/latents") == "latents"
    assert kind_of("auto", "gs://sets/photos") == "array_record"
    assert kind_of("auto", "gs://sets/photos/a.array_record-00000-of-00001") == "array_record"
    assert kind_of("auto", "gs://sets/photos/a.array_record*") == "array_record"
    assert kind_of("auto", "gs://sets/images") == "folder"


def test_a_folder_of_images_in_a_bucket_is_refused_in_one_line(server):
    with pytest.raises(RdcError, match=r"gs://sets/images is in a bucket; make shards") as error:
        open_source(kind_of("auto", "gs://sets/images"), "gs://sets/images")
    assert "\n" not in str(error.value)
