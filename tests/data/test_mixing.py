"""data.mix: its syntax, and the sets that examples come from."""

import logging

import grain
import numpy as np
import pytest
from PIL import Image

from configs import tiny
from rdc_jax.cli.commands.config_overrides import apply_overrides
from rdc_jax.data.crops import crop_image, draw_crop
from rdc_jax.data.masks import random_importance
from rdc_jax.data.mixing import Part, open_mix, parse_mix
from rdc_jax.data.pipeline import held_out_split, training_iterator
from rdc_jax.data.sources import ArrayRecordSource, FolderSource, SyntheticSource
from rdc_jax.errors import RdcError
from rdc_jax.training.image_sets import ImageSets, open_source, training_batches

SIZES = {"batch_size": 5, "crop_size": 64, "seed": 5, "prefetch": 2}


class FlatSource:
    """A source whose image i has the grey value `first` + i everywhere."""

    skipped = frozenset()

    def __init__(self, count, first):
        self.count, self.first = count, first

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return {"image": np.full((80, 90, 3), self.first + index, np.uint8)}


PHOTOS, DRAWINGS, SCREENS = FlatSource(7, 0), FlatSource(5, 100), FlatSource(3, 200)
MIX = (Part(DRAWINGS, 0.2), Part(SCREENS, 0.1))


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


def values(batches):
    return np.concatenate([batch["image"][:, 0, 0, 0] for batch in batches])


def assert_same(left, right):
    for a, b in zip(left, right, strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def save(path, value):
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.new("RGB", (80, 70), (value, value, value)).save(path)


def test_without_a_mix_the_examples_are_unchanged():
    source = SyntheticSource(5, 100)

    def make(example, rng):
        crop = draw_crop(rng, *example["image"].shape[:2], 64)
        image = crop_image(example["image"], crop, 64)
        return {"image": image,
                "importance": random_importance(rng, 4, 4, num_levels=8, image=image)}  # fmt: skip

    examples = grain.MapDataset.source(source).seed(5).shuffle().repeat().random_map(make)
    batches = take(training_iterator(source, **SIZES), 3)
    for i in range(15):
        for name, array in examples[i].items():
            np.testing.assert_array_equal(batches[i // 5][name][i % 5], array)


def test_every_set_gets_its_share_evenly_and_in_a_shuffled_order():
    found = values(take(training_iterator(PHOTOS, mix=MIX, **SIZES), 40))
    sets = found // 100
    assert np.bincount(sets).tolist() == [140, 40, 20]
    for tenth in sets.reshape(-1, 20):
        assert abs(np.sum(tenth == 1) - 4) <= 1 and abs(np.sum(tenth == 2) - 2) <= 1
    drawn = found[sets == 1]
    orders = {tuple(drawn[i : i + 5]) for i in range(0, 40, 5)}
    assert all(sorted(order) == list(range(100, 105)) for order in orders) and len(orders) > 3


def test_photographs_are_the_same_examples_as_without_a_mix():
    alone = take(training_iterator(SyntheticSource(5, 100), **SIZES), 7)
    mixed = take(training_iterator(SyntheticSource(5, 100), mix=[Part(DRAWINGS, 0.3)], **SIZES), 10)
    of_photos = [
        image for batch in mixed for image in batch["image"] if np.ptp(image.astype(int)) > 0
    ]
    expected = np.concatenate([batch["image"] for batch in alone])
    assert len(of_photos) == 35
    np.testing.assert_array_equal(np.stack(of_photos), expected)


@pytest.mark.parametrize("options", [{"num_threads": 0}, {"num_threads": 4}, {"start": 3}])
def test_a_mixed_run_depends_only_on_the_example_number(options):
    whole = take(training_iterator(PHOTOS, mix=MIX, **SIZES), 6)
    start = options.get("start", 0)
    assert_same(take(training_iterator(PHOTOS, mix=MIX, **SIZES, **options), 6 - start),
                whole[start:])  # fmt: skip
    part = take(training_iterator(PHOTOS, mix=MIX, rows=[4, 1], **SIZES, **options), 6 - start)
    assert_same(part, [{n: a[[4, 1]] for n, a in batch.items()} for batch in whole[start:]])


def test_a_mixed_run_can_start_at_a_late_batch():
    iterator = training_iterator(PHOTOS, mix=MIX, start=10**9, **SIZES)
    assert next(iterator)["image"].shape == (5, 64, 64, 3)


def test_held_out_images_come_only_from_the_first_set(tmp_path):
    for i in range(8):
        save(tmp_path / "photos" / f"{i}.png", i)
    for i in range(4):
        save(tmp_path / "b=c" / f"{i}.png", 100 + i)
    config = tiny.get_config("smoke")
    apply_overrides(config, [f"data.path={tmp_path / 'photos'}", "data.kind=folder"])
    alone = held_out_split(len(open_source(config)), 3, seed=0)
    apply_overrides(config, [f"data.mix={tmp_path / 'b=c'}=0.25"])
    source, mix = open_source(config), open_mix(config.data.mix)
    held_out = held_out_split(len(source), 3, seed=0)
    np.testing.assert_array_equal(held_out, alone)
    rows = np.arange(8)
    images = ImageSets(source, mix, held_out, crops=None, examples=None)
    found = set(values(take(training_batches(config, images, rows, 0), 12)).tolist())
    assert found == set(range(8)) - set(held_out.tolist()) | set(range(100, 104))


def test_drawings_keep_their_own_scale_half_of_the_time_and_photographs_do_not():
    class Ramp:
        """An image whose pixels hold their position."""

        def __len__(self):
            return 1

        def __getitem__(self, index):
            y, x = np.mgrid[0:200, 0:220]
            return {"image": np.stack([y, x, 0 * x], -1).astype(np.uint8)}

    def upright(images):
        steps = np.stack([np.diff(images[:, 0, :, 1].astype(int)),
                          np.diff(images[:, :, 0, 0].astype(int))])  # fmt: skip
        return np.mean((steps == 1).all((0, 2)))

    batches = take(training_iterator(PHOTOS, mix=[Part(Ramp(), 0.99)], **SIZES), 60)
    images = np.concatenate([batch["image"] for batch in batches])
    assert 0.35 < upright(images[np.ptp(images.astype(int), axis=(1, 2, 3)) > 0]) < 0.65
    batches = take(training_iterator(Ramp(), **SIZES), 20)
    assert upright(np.concatenate([batch["image"] for batch in batches])) < 0.1


def test_unreadable_images_of_all_sets_are_counted(tmp_path, caplog):
    for folder in ("photos", "drawings"):
        save(tmp_path / folder / "good.png", 7)
        (tmp_path / folder / "bad.png").write_text("not an image")
    source = FolderSource(tmp_path / "photos")
    mix = open_mix(f"{tmp_path / 'drawings'}=0.5")
    with caplog.at_level(logging.ERROR):
        batches = take(training_iterator(source, mix=mix, **SIZES), 4)
    count = len(batches) * len(batches[0]["image"])
    assert 0.2 * count < sum(batch["replaced"].sum() for batch in batches) < 0.8 * count
    assert len(source.skipped) == len(mix[0].source.skipped) == 1


def test_a_folder_of_shards_is_read_as_shards(tmp_path):
    from rdc_jax.data.prepare import prepare

    save(tmp_path / "drawings" / "a.png", 9)
    prepare(tmp_path / "drawings", tmp_path / "shards", workers=1, progress=False)
    (part,) = open_mix(f"{tmp_path / 'shards'}=0.5")
    assert isinstance(part.source, ArrayRecordSource) and part.source[0]["image"][0, 0, 0] == 9


def test_valid_mixes_are_parsed():
    assert parse_mix("") == {}
    assert parse_mix("a=0.1, b/c=d=0.25,") == {"a": 0.1, "b/c=d": 0.25}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drawings", "cannot read 'drawings'.*such as drawings=0.12"),
        ("drawings=12", "between 0 and 1"),
        ("drawings=0", "between 0 and 1"),
        ("drawings=nan", "between 0 and 1"),
        ("=0.1", "cannot read '=0.1'"),
        ("a=0.1,a=0.2", "names 'a' twice"),
        ("a=0.5,b=0.5", "must leave some for data.path"),
        ("nowhere=0.1", "data.mix: no folder 'nowhere'"),
    ],
)
def test_invalid_mixes_are_refused(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RdcError, match=message) as error:
        open_mix(text)
    assert str(error.value).startswith("data.mix") and "\n" not in str(error.value)
