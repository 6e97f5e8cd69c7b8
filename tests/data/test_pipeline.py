import numpy as np
import pytest

from rdc_jax.data.masks import local_contrast
from rdc_jax.data.pipeline import held_out_split, only, training_iterator, without
from rdc_jax.data.sources import SubsetSource, SyntheticSource
from rdc_jax.errors import RdcError

SIZES = {"batch_size": 3, "crop_size": 64, "seed": 5, "prefetch": 2}


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


def assert_same(left, right):
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


class FlatSource:
    """A source whose image i has the grey value i everywhere."""

    def __init__(self, count, size=70):
        self.count, self.size = count, size

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return {"image": np.full((self.size, self.size + 9, 3), index, np.uint8)}


class HalfTexturedSource:
    """Noise on the left, a flat colour on the right."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        image = np.full((128, 128, 3), 90, np.uint8)
        image[:, :64] = np.random.default_rng(index).integers(0, 256, (128, 64, 3))
        return {"image": image}


def test_batches_have_the_promised_shapes():
    batch = next(training_iterator(SyntheticSource(5, 100), cell_size=8, num_levels=4, **SIZES))
    assert batch["image"].shape == (3, 64, 64, 3) and batch["image"].dtype == np.uint8
    assert batch["importance"].shape == (3, 8, 8) and batch["importance"].dtype == np.uint8
    assert batch["importance"].max() < 4


def test_the_same_seed_gives_the_same_batches_with_any_number_of_threads():
    source = SyntheticSource(5, 100)
    first = take(training_iterator(source, **SIZES), 4)
    assert_same(first, take(training_iterator(source, num_threads=0, **SIZES), 4))
    other = next(training_iterator(source, **(SIZES | {"seed": 6})))
    assert (other["image"] != first[0]["image"]).any()


def test_examples_do_not_depend_on_batch_size():
    source = SyntheticSource(5, 100)
    whole = take(training_iterator(source, **(SIZES | {"batch_size": 12})), 1)[0]
    small = take(training_iterator(source, **SIZES), 4)
    assert_same([whole], [{name: np.concatenate([b[name] for b in small]) for name in whole}])


@pytest.mark.parametrize(
    "shares",
    [
        [[0, 1, 2], [3, 4, 5]],
        [[0, 2, 4], [1, 3, 5]],
        [[4, 5], [0, 1], [2, 3]],
        [[0, 1, 2, 3, 4, 5]] * 2,  # processes that share examples over a tensor axis
        [[5], [0, 1, 2, 3, 4]],
    ],
)
def test_the_rows_of_all_processes_make_the_batch_of_one(shares):
    source = SyntheticSource(5, 100)
    sizes = SIZES | {"batch_size": 6}
    whole = take(training_iterator(source, **sizes), 3)
    joined = [{name: np.zeros_like(batch[name]) for name in batch} for batch in whole]
    for rows in shares:
        for threads in (0, 3):
            iterator = training_iterator(source, rows=np.array(rows), num_threads=threads, **sizes)
            for place, part in zip(joined, take(iterator, 3), strict=True):
                for name in place:
                    assert len(part[name]) == len(rows)
                    place[name][rows] = part[name]
    assert_same(whole, joined)
    assert len({image.tobytes() for batch in whole for image in batch["image"]}) == 18


def test_epochs_differ_in_order_and_in_augmentation():
    batches = take(training_iterator(FlatSource(6), **(SIZES | {"batch_size": 6})), 4)
    orders = [tuple(b["image"][:, 0, 0, 0]) for b in batches]
    assert all(sorted(order) == list(range(6)) for order in orders)
    assert len(set(orders)) > 1
    crops = take(training_iterator(SyntheticSource(1, 100), **SIZES), 1)[0]["image"]
    assert (crops[0] != crops[1]).any()


def test_processes_share_an_epoch_without_overlap():
    seen = []
    for process in range(3):
        iterator = training_iterator(
            FlatSource(12), rows=[2 * process, 2 * process + 1], **(SIZES | {"batch_size": 6})
        )
        seen.append({int(v) for b in take(iterator, 2) for v in b["image"][:, 0, 0, 0]})
    assert all(len(s) == 4 for s in seen)
    assert set.union(*seen) == set(range(12))


@pytest.mark.parametrize("start", [1, 3, 4])
def test_a_resumed_iterator_gives_the_same_batches_as_a_running_one(start):
    source = SyntheticSource(5, 100)  # 15 examples: the runs below cross into later epochs
    for options in ({}, {"rows": [2, 0]}, {"exclude": [1, 3]}):
        running = training_iterator(source, **SIZES, **options)
        take(running, start)
        later = training_iterator(source, start=start, num_threads=start % 3, **SIZES, **options)
        assert_same(take(running, 3), take(later, 3))


def test_a_run_continues_where_its_examples_end_with_another_batch_size():
    source = SyntheticSource(5, 100)
    small = take(training_iterator(source, **SIZES), 4)
    large = next(training_iterator(source, start=1, **(SIZES | {"batch_size": 6})))
    assert_same([large], [{name: np.concatenate([b[name] for b in small[2:]]) for name in large}])


def test_a_run_can_start_at_a_late_batch():
    iterator = training_iterator(SyntheticSource(5, 100), start=10**9, **SIZES)
    assert next(iterator)["image"].shape == (3, 64, 64, 3)


def test_content_map_follows_the_flips_of_its_image():
    iterator = training_iterator(
        HalfTexturedSource(), num_levels=8, mixture={"content": 1.0}, cell_size=8, **SIZES
    )
    agreements, sides = [], set()
    for batch in take(iterator, 12):
        for image, levels in zip(batch["image"], batch["importance"], strict=True):
            contrast = local_contrast(image, 8, 8)
            if np.ptp(levels) < 3 or contrast.min() > 1 or contrast.max() < 10:
                continue
            agreements.append(abs(np.corrcoef(levels.ravel(), contrast.ravel())[0, 1]))
            sides.add((contrast[:, 0].mean() > 10, contrast[0].mean() > 10))
    assert len(agreements) > 8 and len(sides) > 1
    assert np.mean(agreements) > 0.8 and min(agreements) > 0.3


class SegmentedSource:
    """A bright rectangle on a dark background, and its segmentation."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        mask = np.zeros((128, 160), np.uint8)
        mask[20:90, 10 + 8 * index : 70 + 8 * index] = 17
        return {"image": np.where(mask[..., None] > 0, 200, 50).repeat(3, -1).astype(np.uint8),
                "mask": mask}  # fmt: skip


def test_segments_become_maps_that_follow_their_image():
    batches = take(
        training_iterator(
            SegmentedSource(), segmentation_share=1.0, mixture={"constant": 1.0}, **SIZES
        ),
        10,
    )
    correlations = []
    for batch in batches:
        assert batch.keys() == {"image", "importance", "replaced"}
        for image, levels in zip(batch["image"], batch["importance"], strict=True):
            cells = image[..., 0].reshape(4, 16, 4, 16).mean((1, 3))
            if np.ptp(levels) > 2:
                correlations.append(np.corrcoef(levels.ravel(), cells.ravel())[0, 1])
    assert len(correlations) > 10 and np.abs(correlations).min() > 0.9
    assert min(correlations) < 0 < max(correlations)


def test_segmentation_share():
    def varied(share):
        batches = take(
            training_iterator(
                SegmentedSource(), segmentation_share=share, mixture={"constant": 1.0}, **SIZES
            ),
            20,
        )
        return np.mean([np.ptp(levels) > 0 for b in batches for levels in b["importance"]])

    assert varied(0.0) == 0 < varied(0.5) < varied(1.0)


def test_held_out_images_are_fixed_and_never_drawn():
    held_out = held_out_split(10, 4, seed=0)
    np.testing.assert_array_equal(held_out, held_out_split(10, 4, seed=0))
    assert len(set(held_out.tolist())) == 4 and 0 <= held_out.min() and held_out.max() < 10
    iterator = training_iterator(FlatSource(10), exclude=held_out, **SIZES)
    drawn = {int(v) for b in take(iterator, 8) for v in b["image"][:, 0, 0, 0]}
    assert drawn == set(range(10)) - set(held_out.tolist())
    assert isinstance(only(FlatSource(3), [0]), SubsetSource)
    assert len(without(FlatSource(3), [0])) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"crop_size": 60},
        {"num_levels": 0},
        {"num_levels": 257},
        {"exclude": range(5)},
    ],
)
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(RdcError):
        training_iterator(SyntheticSource(5, 100), **(SIZES | change))
    with pytest.raises(RdcError):
        held_out_split(3, 3, 0)
