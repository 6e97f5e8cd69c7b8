"""Settings out of range are named in one line, before anything is compiled or written."""

import math

import ml_collections
import pytest

from configs import base, fusion, hyperprior, sd21, tiny
from rdc_jax.errors import RdcError
from rdc_jax.training import check_config, setting_table, train
from rdc_jax.training.tasks.selection import task_for

MODULES = {"tiny": tiny, "base": base, "sd21": sd21, "hyperprior": hyperprior, "fusion": fusion}
SHIPPED = [(name, variant) for name in MODULES for variant in ("", "smoke")] + [
    ("fusion", "end_to_end")
]
EVERY = r"training\.{}_every must be a whole number of {} or more, not {}"


def smoke(**changes):
    config = tiny.get_config("smoke")
    config.unlock()
    config.update_from_flattened_dict(changes)
    return config


@pytest.mark.parametrize(("name", "variant"), SHIPPED)
def test_shipped_configs_pass_and_have_no_setting_without_a_row(name, variant):
    config = MODULES[name].get_config(variant)
    of_codec = name != "fusion"
    rows = setting_table.RUN | (setting_table.OF_CODEC if of_codec else setting_table.OF_FUSION)
    checked = check_config.checked(config)
    assert checked.to_dict() == config.to_dict()  # nothing is added: defaults.py has it all
    assert checked.is_locked
    for section in ("mesh", "data", "training"):
        assert {name for name, _ in check_config.leaves(config[section], section)} <= set(rows)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("training.log_every", -1, EVERY.format("log", 0, -1)),
        ("training.checkpoint_every", -1, EVERY.format("checkpoint", 0, -1)),
        ("training.sample_every", -500, EVERY.format("sample", 0, -500)),
        ("training.judge_every", -2, EVERY.format("judge", -1, -2)),
        ("training.judge_every", 6, r"judge_every must be a multiple of .*sample_every 4, 0"),
        ("training.total_steps", -1, r"total_steps must be a whole number of 0 or more, not -1"),
        ("training.total_steps", 2**31, r"a whole number of 2147483647 or less, not 2147483648"),
        ("training.total_steps", 2.0, r"training\.total_steps must be a whole number"),
        ("training.total_steps", True, r"training\.total_steps must be a whole number"),
        ("training.warmup_steps", -1, r"training\.warmup_steps must be a whole number of 0"),
        ("training.accumulate", 0, r"training\.accumulate must be a whole number from 1 to"),
        ("training.keep_checkpoints", 0, r"training\.keep_checkpoints must be .* of 1 or more"),
        ("training.profile_steps", -1, r"training\.profile_steps must be"),
        ("training.stall_timeout", math.nan, r"training\.stall_timeout must be a finite number"),
        ("training.muon_learning_rate", math.nan, r"muon_learning_rate must be a finite .* nan"),
        ("training.adam_learning_rate", math.inf, r"adam_learning_rate must be a finite .* inf"),
        ("training.adam_learning_rate", -1e-3, r"a finite number of 0 or more, not -0\.001"),
        ("training.gradient_clip", 0.0, r"gradient_clip must be a finite number above 0"),
        ("training.ema_half_life", 0, r"ema_half_life must be a finite number above 0, not 0"),
        ("training.decay_fraction", 1.5, r"decay_fraction must be a finite number from 0 to 1"),
        ("training.balance", -math.inf, r"training\.balance must be a finite number, not -inf"),
        ("training.timestep_gap", 1001, r"a finite number from 0 to 1000, not 1001"),
        ("training.split_rows", 1, r"training\.split_rows must be true or false, not 1"),
        ("training.optimizer", "sgd", r"training\.optimizer must be one of muon, adam, not 'sgd'"),
        ("training.log_evry", 5, r"no setting 'training\.log_evry'; did you mean .*log_every\?"),
        ("data.batch_size", 0, r"data\.batch_size must be a whole number from 1 to 1048576, not 0"),
        ("data.batch_size", -8, r"data\.batch_size must be .*, not -8"),
        ("data.batch_size", "8", r"data\.batch_size must be .*, not '8'"),
        ("data.num_threads", -1, r"data\.num_threads must be a whole number from 0 to 1024"),
        ("data.held_out", -1, r"data\.held_out must be a whole number from 0"),
        ("data.crop_size", 0, r"data\.crop_size must be a whole number from 1"),
        ("data.validation_size", 100, r"data\.validation_size must be a multiple of 32"),
        ("data.ragged_share", math.nan, r"data\.ragged_share must be a finite number from 0 to 1"),
        ("data.path", None, r"data\.path must be a text, not None"),
        ("mesh.fsdp", -2, r"mesh\.fsdp must be a whole number of -1 or more, not -2"),
        ("model.timestep_range", (680, 80), r"two values, the smaller one first, not \(680, 80\)"),
        ("model.timestep_range", (80, 80), r"two values, the smaller one first"),
        ("model.timestep_range", (80, 1001), r"two values, each a whole number from 0 to 1000"),
        ("model.timestep_range", (-1, 80), r"two values, each a whole number from 0 to 1000"),
        ("model.timestep_range", (80, 90, 100), r"must be two values, such as \(1, 2\), not"),
        ("model.num_levels", 0, r"model\.num_levels must be a whole number from 1 to 256, not 0"),
        ("model.cell_size", 12, r"model\.cell_size must be a power of two from 1 to 32768"),
        ("model.schedule.kind", "cosine", r"schedule\.kind must be one of scaled_linear, geom"),
        ("model.schedule.step_max", math.inf, r"schedule\.step_max must be finite, not inf"),
        ("model.unet.channels", (16, -16), r"unet\.channels must be a whole number of 0 or more"),
        ("seed", -1, r"seed must be a whole number of 0 or more, not -1"),
        ("seed", 2**32, r"seed must be a whole number of 4294967295 or less"),
        ("stage", "fourth", r"stage must be one of joint, .* end_to_end, not 'fourth'"),
        ("workdir", "", r"workdir must be a text of one line that is not empty, not ''"),
        ("workdir", " ", r"workdir must be a text of one line that is not empty"),
        ("workdir", "~nobody-of-that-name/x", r"workdir=~nobody.* names no user's home folder"),
    ],
)
def test_a_setting_out_of_range_is_named(tmp_path, monkeypatch, setting, value, message):
    config = smoke(workdir=str(tmp_path / "run"))
    *sections, leaf = setting.split(".")
    node = config
    for section in sections:
        node = node[section]
    with node.ignore_type():
        node[leaf] = value
    monkeypatch.setattr(train, "run_stage", lambda *_: pytest.fail("it goes on"))
    with pytest.raises(RdcError, match=message) as error:
        train.train(config)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "changes",
    [
        {"training.log_every": 0, "training.checkpoint_every": 0},
        {"training.sample_every": 0},
        {"training.sample_every": 0, "training.judge_every": 0},
        {"training.total_steps": 0, "training.warmup_steps": 0},
        {"data.held_out": 0, "data.num_threads": 0},
        {"training.decay_fraction": 1.0, "training.stall_timeout": 0},
        {"model.timestep_range": (0, 1000), "model.num_levels": 1},
    ],
)
def test_the_ends_of_the_ranges_pass(changes):
    config = smoke(**changes)
    assert check_config.checked(config).to_dict() == config.to_dict()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.held_out": 0, "training.keep_best": "psnr@400"}, "keep_best needs validation"),
        ({"training.sample_every": 0, "training.keep_best": "bd_rate_psnr"}, "needs validation"),
        ({"restore_step": 2}, "restore_step is a step of another run; name its workdir as restore"),
    ],
)
def test_settings_that_need_others_say_so(changes, message):
    with pytest.raises(RdcError, match=message):
        check_config.checked(smoke(**changes))


def test_judging_without_sampling_is_refused():
    with pytest.raises(RdcError, match=r"judge_every 4 needs training\.sample_every, which is 0"):
        check_config.checked(smoke(**{"training.sample_every": 0, "training.judge_every": 4}))


@pytest.mark.parametrize("section", ["mesh", "data", "training", "model"])
@pytest.mark.parametrize("instead", ["nothing", None, 3])
def test_a_config_without_a_section_is_refused(section, instead):
    config = smoke()
    del config[section]
    if instead != "nothing":
        config[section] = instead
    with pytest.raises(RdcError, match=f"the config has no section '{section}'; take it from"):
        check_config.checked(config)


@pytest.mark.parametrize("name", ["workdir", "seed", "data.path", "training.log_every"])
def test_a_config_without_a_setting_is_refused(name):
    config = smoke()
    section, _, leaf = name.rpartition(".")
    del (config[section] if section else config)[leaf]
    with pytest.raises(RdcError, match=f"the config has no setting '{name}', which stage=joint"):
        check_config.checked(config)


def test_stages_of_the_fusion_module_need_its_sections():
    config = smoke(stage="realism", init_from="tiny")
    with pytest.raises(RdcError, match=r"no setting 'fusion_from', which stage=realism needs"):
        check_config.checked(config)
    config.fusion_from = ""
    with pytest.raises(RdcError, match=r"no section 'fusion', and stage=realism needs fusion\."):
        check_config.checked(config)
    config = fusion.get_config("smoke")
    del config.training["looks"]
    with pytest.raises(RdcError, match=r"no section 'looks', and stage=realism needs training"):
        check_config.checked(config)


def test_a_config_of_an_earlier_version_is_completed():
    config = smoke()
    for section, name in (("training", "judge_every"), ("data", "mix"), ("mesh", "replica")):
        del config[section][name]
    checked = check_config.checked(config)
    assert (checked.training.judge_every, checked.data.mix, checked.mesh.replica) == (0, "", 1)
    assert "mix" not in config.data  # the given config stays as it is


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    changes = {"workdir": "~/run", "data.path": "~/photos", "training.reference": "~"}
    checked = check_config.checked(smoke(**changes))
    assert checked.workdir == f"{tmp_path}/run" and checked.data.path == f"{tmp_path}/photos"
    assert checked.training.reference == str(tmp_path)


@pytest.mark.parametrize(
    ("module", "changes", "message"),
    [
        (tiny, {"data.crop_size": 48}, r"data\.crop_size must be a multiple of 32 .*, not 48"),
        (sd21, {"data.crop_size": 96}, r"data\.crop_size must be a multiple of 64"),
        (sd21, {"data.validation_size": 96}, r"data\.validation_size must be a multiple of 64"),
        (tiny, {"model.cell_size": 64, "data.crop_size": 96}, r"crop_size .* multiple of 64"),
        (tiny, {"model.cell_size": 4}, r"model\.cell_size must be a multiple of the 8 pixels"),
        (tiny, {"model.schedule.step_min": 100.0}, r"'model' describes no networks: need 0 < step"),
    ],
)
def test_sizes_that_the_networks_refuse_are_named(module, changes, message):
    config = module.get_config("smoke")
    config.update_from_flattened_dict(changes)
    with pytest.raises(RdcError, match=message):
        check_config.check_crops(task_for(check_config.checked(config)))


@pytest.mark.parametrize(
    ("part", "fields"),
    [
        ("unet", {"channels": ()}),
        ("unet", {"colour": "red"}),
        ("hyperprior", {"width": 0}),
        ("autoencoder", {"norm_num_groups": 8}),
    ],
)
def test_networks_that_cannot_be_are_named_before_they_are_compiled(tmp_path, part, fields):
    config = smoke(workdir=str(tmp_path), **{"data.held_out": 0, "training.sample_every": 0})
    config.model[part].update(fields)
    with pytest.raises(RdcError, match="the section 'model' describes no networks: ") as error:
        train.train(config)
    assert "\n" not in str(error.value)


def test_what_is_checked_is_a_copy():
    config = ml_collections.ConfigDict(smoke().to_dict()).lock()
    checked = check_config.checked(config)
    with checked.unlocked():
        checked.training.total_steps = 9
    assert config.training.total_steps == 4
