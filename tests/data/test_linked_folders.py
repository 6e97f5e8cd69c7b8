"""Folders of images that hold links: photo collections often consist of them."""

import os

import pytest
from PIL import Image

from rdc_jax.data.folder_source import FolderSource
from rdc_jax.errors import RdcError


@pytest.fixture
def photos(tmp_path):
    """A folder with one image of its own, and another folder with two."""
    for name, count in (("photos", 1), ("far", 2)):
        (tmp_path / name).mkdir()
        for i in range(count):
            Image.new("RGB", (64, 64), (i, 9, 9)).save(tmp_path / name / f"{name}{i}.png")
    return tmp_path / "photos"


def names(folder):
    return [path.relative_to(folder).as_posix() for path in FolderSource(folder).paths]


def test_links_to_folders_are_followed(photos):
    (photos / "linked").symlink_to("../far")
    assert names(photos) == ["linked/far0.png", "linked/far1.png", "photos0.png"]


def test_the_folder_itself_may_be_a_link(photos, tmp_path):
    (tmp_path / "link").symlink_to("far")
    assert names(tmp_path / "link") == ["far0.png", "far1.png"]


def test_links_to_files_count_and_broken_ones_do_not(photos):
    (photos / "one.png").symlink_to("../far/far0.png")
    (photos / "gone.png").symlink_to("nowhere.png")
    (photos / "gone").symlink_to("nowhere")
    assert names(photos) == ["one.png", "photos0.png"]


def test_a_link_back_up_is_not_followed(photos):
    (photos / "below").mkdir()
    (photos / "below" / "up").symlink_to("../../photos")
    (photos / "self").symlink_to(".")
    assert names(photos) == ["photos0.png"]


def test_two_links_to_each_other_end(photos, tmp_path):
    (photos / "far").symlink_to("../far")
    (tmp_path / "far" / "photos").symlink_to("../photos")
    assert names(photos) == ["far/far0.png", "far/far1.png", "photos0.png"]


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_left_out(photos):
    (photos / "closed").mkdir(mode=0)
    assert names(photos) == ["photos0.png"]


def test_only_links_to_nothing_is_no_set(tmp_path):
    (tmp_path / "a.png").symlink_to("nowhere")
    with pytest.raises(RdcError, match="no jpg, png or webp images below"):
        FolderSource(tmp_path)
