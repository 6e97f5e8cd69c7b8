"""One real run of the module's stages at smoke size: what it writes, resume, clear errors."""

import signal

import numpy as np
import pytest
from PIL import Image

import rdc_jax
from configs import fusion as fusion_config
from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model, fusion_module
from rdc_jax.models import lpips_weights as perceptual_weights
from rdc_jax.training import program, train
from rdc_jax.training.cluster import partitioning
from tests.training.fusion_smoke_runs import lpips_weights, refused, smoke_config
from tests.training.smoke_runs import metrics_of


@pytest.fixture(scope="module", autouse=True)
def compile_once():
    """What the runs of this file share: compiled programs, small LPIPS weights."""
    programs, build = {}, program.build

    def shared_program(task, mesh, params):
        settings = task.config.copy_and_resolve_references()
        settings.update(workdir="", init_from="", fusion_from="")
        key = settings.to_json(), mesh
        if key not in programs:
            programs[key] = build(task, mesh, params)
        return programs[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "build", shared_program)
        patch.setattr(perceptual_weights, "load", lpips_weights)
        yield


def contents(folder):
    """Every file below a folder with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def straight(smoke_model, tmp_path_factory):
    """Four steps of stage transform in one go: the workdir."""
    workdir = tmp_path_factory.mktemp("transform")
    before = contents(smoke_model)
    assert train.train(smoke_config(workdir, smoke_model)) == workdir / "model"
    assert contents(smoke_model) == before
    return workdir


def test_a_run_leaves_what_it_should(straight):
    lines = metrics_of(straight)
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == 4 and np.all(np.isfinite(losses))
    assert lines[0]["loss"] == pytest.approx(lines[0]["prediction_error"])
    assert lines[-1]["step"] == 4
    views = [f"{name}{view}" for name in ("psnr", "lpips_alex", "colour")
             for view in ("", "_tau_0.5", "_tau_1")]  # fmt: skip
    for name in ("bpp", *views, "added_pattern"):
        assert all(np.isfinite(lines[-1][f"{name}@{t}"]) for t in (250, 400, 550, 700))
    assert lines[-1]["psnr@250"] > lines[-1]["psnr@700"]
    with Image.open(straight / "pictures" / "validation_0000004.png") as sheet:
        assert sheet.size == (2 * 64, 9 * 64)


def test_its_module_decodes_files_of_the_base(straight, smoke_model):
    codec = rdc_jax.load(smoke_model, fusion=straight / "model")
    section = fusion_config.get_config("smoke").fusion
    assert codec.module.default_tau == section.default_tau
    assert codec.module.default_steps == section.default_steps
    pixels = np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8)
    data = codec.encode(pixels)
    assert np.any(codec.decode(data, tau=1.0, steps=2) != codec.decode(data, tau=0.0))


def test_a_module_has_what_later_stages_need_and_no_more(straight, smoke_model):
    base_id = codec_model.load(smoke_model).model_id
    module = fusion_module.load(straight / "model", base_id)
    assert set(module.params) == {"transform", "auxiliary"}
    kernel = module.params["transform"]["conv_out"]["kernel"]
    assert np.any(kernel)  # four steps away from zero, where it began
    assert not np.any(module.params["auxiliary"]["conv_out"]["kernel"])
    assert set(contents(straight / "model")) == {
        "config.json", "transform.safetensors", "manifest.json", "training/auxiliary.safetensors"
    }  # fmt: skip


def test_interrupted_and_resumed_equals_straight(
    straight, smoke_model, tmp_path, monkeypatch, ctrl_c
):
    config = smoke_config(tmp_path, smoke_model)
    global_batch, calls = partitioning.global_batch, []

    def interrupting(*arguments):
        calls.append(1)
        if len(calls) == 1:
            signal.raise_signal(signal.SIGINT)
        return global_batch(*arguments)

    monkeypatch.setattr(partitioning, "global_batch", interrupting)
    with pytest.raises(KeyboardInterrupt):
        train.train(config)
    assert len(calls) == 3 and not (tmp_path / "model").exists()
    train.train(config)
    assert len(calls) == 4
    assert contents(tmp_path / "model") == contents(straight / "model")
    losses = [
        [line["loss"] for line in metrics_of(w) if "loss" in line] for w in (straight, tmp_path)
    ]
    assert losses[0] == losses[1]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["auxiliary", "realism"])
def test_other_stages_go_on_from_a_module(straight, smoke_model, tmp_path, stage):
    """Every part but those trained stays, to the bit."""
    config = smoke_config(
        tmp_path, smoke_model, stage=stage, fusion_from=str(straight / "model"),
        **{"training.total_steps": 1, "training.warmup_steps": 0,
           "training.adversarial_weight": 0.1},
    )  # fmt: skip
    folder = train.train(config)
    lines = metrics_of(tmp_path)
    assert all(np.isfinite(value) for line in lines for value in line.values())
    assert {"mse_ratio", "lpips_alexnet", "gradient_norm"} <= set(lines[0])
    shown = {"auxiliary": "psnr_y_p@400", "realism": "psnr_tau_1@400"}
    assert shown[stage] in lines[-1]
    before, after = contents(straight / "model"), contents(folder)
    changed = {name for name in before if before[name] != after[name]}
    assert (
        changed
        == {
            "auxiliary": {"training/auxiliary.safetensors"},
            "realism": {"transform.safetensors", "manifest.json"},
        }[stage]
    )


def test_end_to_end_makes_a_codec_with_its_module_inside(straight, smoke_model, tmp_path):
    config = smoke_config(
        tmp_path, smoke_model, stage="end_to_end", fusion_from=str(straight / "model"),
        **{"training.total_steps": 1, "training.warmup_steps": 0},
    )  # fmt: skip
    folder = train.train(config)
    lines = metrics_of(tmp_path)
    assert {"bpp", "score_tau_1"} <= set(lines[0]) and np.isfinite(lines[-1]["bpp@400"])
    old, new = codec_model.load(smoke_model), codec_model.load(folder)
    assert new.name == old.name and new.model_id != old.model_id
    assert set(new.params) == set(old.params)
    codec = rdc_jax.load(folder)  # finds the module by itself, bound to the new base
    pixels = np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8)
    data = codec.encode(pixels)
    assert np.any(codec.decode(data, tau=1.0) != codec.decode(data, tau=0.0))
    with pytest.raises(RdcError, match="needs model"):
        rdc_jax.load(smoke_model).decode(data)


@pytest.mark.slow
@pytest.mark.parametrize(
    "stage", ["auxiliary", "realism", pytest.param("end_to_end", marks=pytest.mark.slow)]
)
def test_stages_that_look_at_images_run_with_all_terms(smoke_model, tmp_path, stage):
    config = smoke_config(
        tmp_path, smoke_model, stage=stage,
        **{"training.total_steps": 1, "training.warmup_steps": 0, "data.crop_size": 96,
           "training.sample_every": 1},
    )  # fmt: skip
    config.training.looks = fusion_config.get_config().training.looks
    train.train(config)
    lines = metrics_of(tmp_path)
    view = "_tau_1" if stage == "end_to_end" else ""
    terms = ("lpips_alexnet", "lpips_vgg16", "colour", "score")
    assert all(lines[0][name + view] > 0 for name in terms)
    assert lines[0]["pattern" + view] >= 0  # nothing that repeats is added at the start
    shares = [v for line in lines for k, v in line.items() if k.startswith("encoder_share_")]
    assert len(shares) == 3 * (stage == "end_to_end") and all(0 < share < 1 for share in shares)


@pytest.mark.slow
def test_a_base_can_grow_and_starts_as_it_was(straight, smoke_model, tmp_path):
    """The first step of the grown codec has the losses of the codec that was stored."""
    larger = {"autoencoder": {"analysis_added_blocks": 1}}
    larger["hyperprior"] = {"hyper_step": True, "hyper_context": True}
    first = []
    for name, grow in (("same", {}), ("larger", larger)):
        config = smoke_config(
            tmp_path / name, smoke_model, stage="end_to_end", fusion_from=str(straight / "model"),
            **{"training.total_steps": 1, "training.warmup_steps": 0},
        )  # fmt: skip
        config.grow.update(grow)
        folder = train.train(config)
        first.append(metrics_of(tmp_path / name)[0])
    for name in ("loss", "bpp_y", "bpp_z", "mse_pixel", "score_tau_1"):
        np.testing.assert_allclose(first[1][name], first[0][name], rtol=1e-4, err_msg=name)
    grown = codec_model.load(folder)
    assert grown.config["hyperprior"]["hyper_step"] is True
    assert "hyper1_context" in grown.params["hyperprior"]
    assert "fine_1" in grown.params["autoencoder"]["analysis"]
    pixels = np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8)
    codec = rdc_jax.load(folder)
    assert codec.decode(codec.encode(pixels)).shape == pixels.shape


def test_a_module_of_another_base_is_refused(straight, smoke_model, tmp_path):
    base_id = codec_model.load(smoke_model).model_id
    module = fusion_module.load(straight / "model", base_id)
    fusion_module.save(tmp_path / "other", "other", module.config, bytes(8), module.params)
    config = smoke_config(tmp_path, smoke_model, fusion_from=str(tmp_path / "other"))
    assert "was made for model 0000000000000000" in refused(config)


@pytest.mark.parametrize(
    ("setting", "value", "part"),
    [
        ("fusion.from_base", False, "transform"),
        ("fusion.auxiliary.width", 24, "auxiliary"),
        ("fusion.auxiliary.blocks", 2, "auxiliary"),
    ],
)
def test_a_module_of_another_architecture_is_refused(
    straight, smoke_model, tmp_path, setting, value, part
):
    settings = {"fusion_from": str(straight / "model"), setting: value}
    message = refused(smoke_config(tmp_path, smoke_model, **settings))
    assert f"the {part} in {straight / 'model'} does not fit config.fusion" in message
