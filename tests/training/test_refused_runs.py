"""Settings that only the images, the devices or the stored weights of a run can refuse.

test_check_config.py has those that a run refuses by themselves.
"""

import pytest

from configs import tiny
from rdc_jax.errors import RdcError
from rdc_jax.training import train
from rdc_jax.training.tasks import codec_task


@pytest.fixture(scope="module", autouse=True)
def parameters_are_made_once():
    """Fresh parameters are compiled for the first run only."""
    fresh, initial_parameters = {}, codec_task.initial_parameters

    def shared(config, networks, crops):
        if config.stage != "joint":
            return initial_parameters(config, networks, crops)
        if networks not in fresh:
            fresh[networks] = initial_parameters(config, networks, crops)
        return fresh[networks]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec_task, "initial_parameters", shared)
        yield


def smoke_config(workdir, **changes):
    """The smoke config with a U-Net of one level."""
    config = tiny.get_config("smoke")
    config.model.unet.update(channels=(16,), heads=(0,))
    config.workdir = str(workdir)
    config.update_from_flattened_dict(changes)
    return config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage": "diffusion"}, "init_from=FOLDER"),
        ({"data.held_out": 64}, "hold out fewer"),
        ({"training.reference": "nowhere"}, "no model 'nowhere'"),
        (
            {"training.keep_best": "psnr@300"},
            r"training\.keep_best=psnr@300 is not measured by this run; choose .* psnr@",
        ),
        ({"restore_from": "nowhere"}, "no checkpoints in nowhere; name the workdir of a run"),
        ({"data.kind": "folder", "data.path": "nowhere"}, r"data\.path.*nowhere"),
        ({"data.kind": "latents", "data.path": "nowhere"}, r"data\.path.*nowhere"),
        ({"data.mix": "nowhere=0.1"}, r"data\.mix: no folder 'nowhere'"),
        ({"mesh.fsdp": 3}, r"mesh\.fsdp 3 does not fit 8 devices"),
        ({"mesh.data": 0}, r"mesh\.data is 0; it must be at least 1, or -1"),
        ({"mesh.data": -1, "mesh.tensor": -1}, r"only one of mesh\.data, mesh\.tensor may be -1"),
        ({"data.batch_size": 12}, r"data\.batch_size 12 does not divide"),
        ({"training.accumulate": 3}, r"data\.batch_size 8 .* training\.accumulate 3"),
        (
            {"training.split_rows": True, "mesh.tensor": 4},
            r"training\.split_rows over mesh\.tensor 4 needs .* multiple of 128 .* at least 256",
        ),
        ({"training.attention": "cudnn"}, r"training\.attention=cudnn needs a gpu"),
    ],
)
def test_settings_that_images_devices_or_weights_refuse_are_named(tmp_path, changes, message):
    with pytest.raises(RdcError, match=message) as error:
        train.train(smoke_config(tmp_path, **changes))
    assert "\n" not in str(error.value)
