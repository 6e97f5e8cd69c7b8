"""Sizes of meshes, the rules that place leaves on them, and whose rows are whose."""

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from configs import sd21
from rdc_jax.errors import RdcError
from rdc_jax.models.networks import Networks
from rdc_jax.training.cluster import partitioning


@pytest.mark.parametrize(
    ("sizes", "devices", "expected"),
    [
        ({"data": -1}, 8, (1, 8, 1, 1)),
        ({"data": -1, "fsdp": 4}, 8, (1, 2, 4, 1)),
        ({"replica": 2, "data": 2, "fsdp": 1, "tensor": -1}, 16, (2, 2, 1, 4)),
        ({"fsdp": 8}, 8, (1, 1, 8, 1)),
        ({"data": -1, "fsdp": 8}, 8, (1, 1, 8, 1)),
        ({}, 1, (1, 1, 1, 1)),
    ],
)
def test_sizes_of_a_mesh(sizes, devices, expected):
    resolved = partitioning.axis_sizes(sizes, devices)
    assert tuple(resolved[axis] for axis in partitioning.AXES) == expected


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"fsdp": 3}, r"mesh\.fsdp 3 does not fit 8 devices"),
        ({"data": 2, "fsdp": 2}, r"mesh\.data 2 x mesh\.fsdp 2 does not fit 8 devices"),
        ({"data": -1, "fsdp": 3}, r"mesh\.data -1 x mesh\.fsdp 3 does not fit 8 devices"),
        ({"data": -1, "fsdp": 16}, r"mesh\.data -1 x mesh\.fsdp 16 does not fit 8 devices"),
        ({"data": 0}, r"mesh\.data is 0; it must be at least 1, or -1"),
        ({"tensor": -2}, r"mesh\.tensor is -2"),
        ({"data": -1, "fsdp": -1}, r"only one of mesh\.data, mesh\.fsdp may be -1"),
        ({"model": 2}, r"mesh\.model is not an axis; they are replica, data, fsdp, tensor"),
        ({}, "a mesh of 1 does not fit 8 devices"),
    ],
)
def test_sizes_that_do_not_fit_are_named(sizes, message):
    with pytest.raises(RdcError, match=f"^{message}"):
        partitioning.axis_sizes(sizes, 8)


def test_by_default_all_devices_hold_examples():
    mesh = partitioning.make_mesh()
    assert dict(mesh.shape) == {
        "replica": 1, "data": jax.device_count(), "fsdp": 1, "tensor": 1
    }  # fmt: skip


def test_a_mesh_has_every_device_once():
    mesh = partitioning.make_mesh({"data": 2, "fsdp": 2, "tensor": 2})
    assert set(mesh.devices.flat) == set(jax.devices()) and mesh.devices.shape == (1, 2, 2, 2)


class FakeDevice:
    """Of a machine with several slices; those of one slice have a fast network."""

    platform, device_kind, process_index = "tpu", "TPU v5 lite", 0

    def __init__(self, number):
        self.id, self.slice_index = number, number // 4
        self.coords, self.core_on_chip = (number % 2, number % 4 // 2, 0), 0


def test_replicas_are_slices():
    devices = [FakeDevice(number) for number in range(8)]
    mesh = partitioning.make_mesh({"replica": 2, "fsdp": 4}, devices[::-1])
    slices = np.vectorize(lambda device: device.slice_index)(mesh.devices)
    np.testing.assert_array_equal(slices[:, 0, :, 0], [[0] * 4, [1] * 4])


def test_the_number_of_slices_is_the_default_of_replica():
    devices = [FakeDevice(number) for number in range(8)]
    for sizes in ({"replica": 1, "data": -1, "fsdp": 2}, {"data": -1, "fsdp": 2}):
        mesh = partitioning.make_mesh(sizes, devices)
        assert tuple(mesh.shape.values()) == (2, 2, 2, 1)
        slices = np.vectorize(lambda device: device.slice_index)(mesh.devices)
        assert (slices[0] == 0).all() and (slices[1] == 1).all()


def test_more_replicas_than_slices_stay_within_them():
    mesh = partitioning.make_mesh({"replica": 4, "fsdp": 2}, [FakeDevice(n) for n in range(8)])
    slices = np.vectorize(lambda device: device.slice_index)(mesh.devices)
    np.testing.assert_array_equal(slices[:, 0, 0, 0], [0, 0, 1, 1])


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (
            {"replica": 3, "data": -1},
            r"mesh\.replica is 3 on 2 slices; leave it out, or give a mult",
        ),
        ({"fsdp": 12}, r"mesh\.replica 2 x mesh\.fsdp 12 does not fit 12 devices"),
    ],
)
def test_a_mesh_that_does_not_fit_the_slices_is_one_line(sizes, message):
    devices = [FakeDevice(number) for number in range(12)]
    for device in devices:
        device.slice_index = device.id // 6
    with pytest.raises(RdcError, match=f"^{message}"):
        partitioning.make_mesh(sizes, devices)


def test_hosts_of_gpus_are_no_slices():
    """JAX numbers their hosts as slices, and fsdp may well go across them."""
    devices = [FakeDevice(number) for number in range(8)]
    for device in devices:
        device.platform, device.device_kind = "gpu", "NVIDIA H100 80GB HBM3"
    assert partitioning.slice_count(devices) == 1
    assert partitioning.make_mesh({"fsdp": 8}, devices).shape["fsdp"] == 8


def specs(sizes, tree):
    """PartitionSpec of each leaf on a mesh of these sizes."""
    mesh = partitioning.make_mesh(sizes, jax.devices()[: int(np.prod(list(sizes.values())))])
    return jax.tree.map(lambda leaf: leaf.spec, partitioning.parameter_sharding(mesh, tree))


def test_large_leaves_are_split_over_fsdp_on_their_largest_divisible_axis():
    tree = {
        "small": np.zeros((64, 64)),
        "kernel": np.zeros((3, 3, 256, 512)),
        "odd": np.zeros((1001, 513)),
        "wide": np.zeros((1026, 512)),
        "number": np.zeros(()),
    }
    assert specs({"data": 2, "fsdp": 4}, tree) == {
        "small": PartitionSpec(None, None),
        "kernel": PartitionSpec(None, None, None, "fsdp"),
        "odd": PartitionSpec(None, None),
        "wide": PartitionSpec(None, "fsdp"),
        "number": PartitionSpec(),
    }


@pytest.fixture(scope="module")
def large_unet():
    networks = Networks.from_config(sd21.get_config().model.to_dict())
    return jax.eval_shape(networks.init, jax.random.key(0))["unet"]


def test_channels_inside_blocks_are_split_over_tensor_and_the_rest_over_fsdp(large_unet):
    tree = {"params": {"unet": large_unet}, "opt_state": ({"mu": {"unet": large_unet}},)}
    placed = specs({"fsdp": 2, "tensor": 2}, tree)
    for unet in (placed["params"]["unet"], placed["opt_state"][0]["mu"]["unet"]):
        resnet = unet["down_blocks_1_resnets_0"]
        assert resnet["conv1"]["kernel"] == PartitionSpec(None, None, "fsdp", "tensor")
        assert resnet["conv1"]["bias"] == PartitionSpec("tensor")
        assert resnet["conv2"]["kernel"] == PartitionSpec(None, None, "tensor", "fsdp")
        assert resnet["conv2"]["bias"] == PartitionSpec(None)
        block = unet["mid_block_attentions_0"]["transformer_blocks_0"]
        assert block["attn1"]["to_q"]["kernel"] == PartitionSpec("fsdp", "tensor")
        assert block["attn2"]["to_out_0"]["kernel"] == PartitionSpec("tensor", "fsdp")
        assert block["ff_net_0_proj"]["kernel"] == PartitionSpec("fsdp", "tensor")
        assert block["ff_net_2"]["kernel"] == PartitionSpec("tensor", "fsdp")
        assert block["norm1"]["scale"] == PartitionSpec(None)
        assert unet["conv_in"]["kernel"] == PartitionSpec(None, None, None, None)


@pytest.mark.parametrize(
    ("sizes", "above_equal_shares"), [({"fsdp": 8}, 1.05), ({"fsdp": 4, "tensor": 2}, 1.15)]
)
def test_each_device_holds_about_its_share_of_a_large_model(large_unet, sizes, above_equal_shares):
    shardings = partitioning.parameter_sharding(partitioning.make_mesh(sizes), large_unet)
    held = jax.tree.map(lambda x, s: np.prod(s.shard_shape(x.shape)), large_unet, shardings)
    share = sum(leaf.size for leaf in jax.tree.leaves(large_unet)) / 8
    assert share > 100e6
    assert share <= sum(jax.tree.leaves(held)) < above_equal_shares * share


@pytest.mark.parametrize(
    ("sizes", "batch_size", "accumulate", "fits"),
    [
        ({"data": 8}, 16, 1, True),
        ({"data": 8}, 12, 1, False),
        ({"replica": 2, "data": 2, "fsdp": 2}, 8, 1, True),
        ({"data": 2, "tensor": 4}, 2, 1, True),
        ({"data": 4, "fsdp": 2}, 8, 2, False),
        ({"data": 4, "fsdp": 2}, 16, 2, True),
    ],
)
def test_batches_that_do_not_divide_are_refused(sizes, batch_size, accumulate, fits):
    mesh = partitioning.make_mesh(sizes)
    if fits:
        partitioning.check_batch_size(mesh, batch_size, accumulate)
        return
    with pytest.raises(RdcError, match=f"^data.batch_size {batch_size} does not divide") as error:
        partitioning.check_batch_size(mesh, batch_size, accumulate)
    assert ("training.accumulate" in str(error.value)) == (accumulate > 1)


@pytest.mark.parametrize("split_rows", [False, True])
def test_examples_reach_the_devices_that_work_on_them(split_rows):
    mesh = partitioning.make_mesh({"data": 2, "fsdp": 2, "tensor": 2})
    rows = partitioning.batch_rows(mesh, 8)
    np.testing.assert_array_equal(rows, np.arange(8))  # one process holds them all
    local = {
        "image": np.arange(8 * 4 * 3).reshape(8, 4, 3),
        "importance": np.arange(8 * 2).reshape(8, 2),
        "stop": np.arange(8),
    }
    like = {
        name: jax.ShapeDtypeStruct(
            values.shape, values.dtype,
            sharding=partitioning.batch_sharding(mesh, name, split_rows),
        )
        for name, values in local.items()
    }  # fmt: skip
    batch = partitioning.global_batch(local, like, rows)
    for name, values in local.items():
        np.testing.assert_array_equal(batch[name], values)
    pieces = {name: {s.data.shape for s in x.addressable_shards} for name, x in batch.items()}
    image = (2, 2, 3) if split_rows else (2, 4, 3)
    assert pieces == {"image": {image}, "importance": {(2, 2)}, "stop": {(2,)}}


def test_a_process_that_holds_some_rows_places_those():
    mesh = partitioning.make_mesh({"data": 2}, jax.devices()[2:4])
    like = {
        "stop": jax.ShapeDtypeStruct((4,), np.int32, sharding=partitioning.batch_sharding(mesh))
    }
    # As if rows 0 and 2 of a larger batch were elsewhere: positions count, not row numbers.
    rows = np.array([0, 1, 2, 3])
    batch = partitioning.global_batch({"stop": np.array([9, 8, 7, 6], np.int32)}, like, rows)
    shards = {shard.device.id: np.asarray(shard.data) for shard in batch["stop"].addressable_shards}
    np.testing.assert_array_equal(shards[2], [9, 8])
    np.testing.assert_array_equal(shards[3], [7, 6])


def test_what_is_placed_comes_back():
    mesh = partitioning.make_mesh({"fsdp": 4, "data": 2})
    values = {"kernel": np.arange(1024 * 512, dtype=np.float32).reshape(1024, 512)}
    like = partitioning.with_shardings(values, partitioning.parameter_sharding(mesh, values))
    placed = partitioning.place(values, like)
    assert placed["kernel"].sharding.shard_shape((1024, 512)) == (256, 512)
    np.testing.assert_array_equal(partitioning.gather(placed)["kernel"], values["kernel"])
