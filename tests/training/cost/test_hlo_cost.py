"""Reading a compiled program: a small one by hand, with every quantity known."""

import math

import pytest

from rdc_jax.training.cost import hlo_cost, hlo_text
from rdc_jax.training.cost.hardware import Peaks

PEAKS = Peaks(
    flops=1e12, memory=1e9, bandwidth=1e9, interconnect=1e8, tile=128, clock=1e9, vector=1e9
)

PROGRAM = """\
HloModule jit_train_step, is_scheduled=true

%fused_computation.1 (p.0: bf16[8,32,32,64], p.1: bf16[3,3,64,128]) -> bf16[8,32,32,128] {
  %p.0 = bf16[8,32,32,64]{3,2,1,0:T(8,128)(2,1)} parameter(0)
  %p.1 = bf16[3,3,64,128]{3,2,1,0:T(8,128)(2,1)} parameter(1)
  ROOT %convolution.1 = bf16[8,32,32,128]{3,2,1,0:T(8,128)(2,1)} convolution(%p.0, %p.1), window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_01io->b01f, metadata={op_name="jit(train_step)/jvp(UNet)/conv_in/conv_general_dilated"}
}

%body (state: (s32[], f32[128])) -> (s32[], f32[128]) {
  %state = (s32[]{:T(128)}, f32[128]{0:T(128)}) parameter(0)
  %x = f32[128]{0:T(128)} get-tuple-element(%state), index=1
  %twice = f32[128]{0:T(128)} fusion(%x), kind=kLoop, calls=%fused_computation.2, metadata={op_name="jit(train_step)/add"}, backend_config={"window_config":{"estimated_cycles":"500"}}
  ROOT %next = (s32[]{:T(128)}, f32[128]{0:T(128)}) tuple(%x, %twice)
}

%fused_computation.2 (p: f32[128]) -> f32[128] {
  %p = f32[128]{0:T(128)} parameter(0)
  ROOT %add = f32[128]{0:T(128)} add(%p, %p)
}

ENTRY %main_spmd (image: bf16[8,32,32,64], kernel: bf16[3,3,64,128]) -> f32[128] {
  %image = bf16[8,32,32,64]{3,2,1,0:T(8,128)(2,1)} parameter(0)
  %kernel = bf16[3,3,64,128]{3,2,1,0:T(8,128)(2,1)} parameter(1)
  %copy-start = (bf16[3,3,64,128]{3,2,1,0:T(8,128)(2,1)S(1)}, bf16[3,3,64,128]{3,2,1,0:T(8,128)(2,1)}, u32[]{:S(2)}) copy-start(%kernel)
  %copy-done = bf16[3,3,64,128]{3,2,1,0:T(8,128)(2,1)S(1)} copy-done(%copy-start)
  %fusion.1 = bf16[8,32,32,128]{3,2,1,0:T(8,128)(2,1)} fusion(%image, %copy-done), kind=kOutput, calls=%fused_computation.1, metadata={op_name="jit(train_step)/jvp(UNet)/conv_in/conv_general_dilated"}, backend_config={"window_config":{"estimated_cycles":"20000"}}
  %all-reduce.1 = f32[1024]{0:T(1024)} all-reduce(%flat), channel_id=3, replica_groups={{0,1}}, to_apply=%fused_computation.2
  %flat = f32[1024]{0:T(1024)} bitcast(%fusion.1)
  %all-reduce.2 = f32[1024]{0:T(1024)} all-reduce(%flat), channel_id=3, replica_groups={{0,1}}, to_apply=%fused_computation.2
  %splash_mha_fwd_residuals.1 = (bf16[2,5,256,64]{3,2,1,0:T(8,128)(2,1)S(1)}) custom-call(%mask, %query, %key), custom_call_target="tpu_custom_call"
  %mask = s8[1,4,4]{2,1,0:T(4,128)(4,1)S(1)} bitcast(%fusion.1)
  %query = bf16[2,5,256,64]{3,2,1,0:T(8,128)(2,1)S(1)} bitcast(%fusion.1)
  %key = bf16[2,5,512,64]{3,2,1,0:T(8,128)(2,1)S(1)} bitcast(%fusion.1)
  %while.1 = (s32[]{:T(128)}, f32[128]{0:T(128)}) while(%state.1), condition=%condition, body=%body, backend_config={"known_trip_count":{"n":"7"}}
  ROOT %result = f32[128]{0:T(128)} get-tuple-element(%while.1), index=1
}
"""  # noqa: E501

CONV_FLOPS = 2 * (8 * 128) * 64 * (3 * 32 - 2) ** 2  # at the borders taps lie outside
ATTENTION_FLOPS = 2 * (2 * (2 * 5 * 256) * 512 * 128)  # two products, channels fill the unit


@pytest.fixture(scope="module")
def prediction():
    return hlo_cost.predict(PROGRAM, PEAKS)


def test_convolutions_inside_fusions_are_counted(prediction):
    assert prediction.groups["forward conv_general_dilated"].flops == CONV_FLOPS
    assert prediction.flops == CONV_FLOPS + ATTENTION_FLOPS


def test_channels_that_do_not_fill_a_tile_take_its_room_in_memory(prediction):
    image, result = 2 * 8 * 32 * 32 * 128, 2 * 8 * 32 * 32 * 128  # 64 channels lie in 128
    assert prediction.groups["forward conv_general_dilated"].hbm_bytes == image + result


def test_an_instruction_takes_as_long_as_its_slowest_resource(prediction):
    by_memory = 2 * (2 * 8 * 32 * 32 * 128) / PEAKS.bandwidth
    assert by_memory > CONV_FLOPS / PEAKS.flops and by_memory > 20000 / PEAKS.clock
    conv = prediction.groups["forward conv_general_dilated"]
    assert conv.count == 1 and math.isclose(conv.seconds, by_memory)
    faster_memory = PEAKS._replace(bandwidth=1e15)
    conv = hlo_cost.predict(PROGRAM, faster_memory).groups["forward conv_general_dilated"]
    assert math.isclose(conv.seconds, CONV_FLOPS / PEAKS.flops)


def test_loop_bodies_count_as_often_as_they_run(prediction):
    update = prediction.groups["update add"]
    assert update.count == 7
    assert math.isclose(update.seconds, 7 * max(500 / PEAKS.clock, 2 * 512 / PEAKS.bandwidth))


def test_copies_and_collectives_run_beside_the_rest(prediction):
    assert prediction.collective_bytes == 2 * 4096  # there and back, one channel
    assert math.isclose(prediction.interconnect, 2 * 4096 / PEAKS.interconnect)
    serial_bytes = sum(group.hbm_bytes for group in prediction.groups.values())
    kernel = 2 * 3 * 3 * 64 * 128
    assert math.isclose(prediction.hbm_bytes, serial_bytes + kernel)
    assert prediction.seconds == max(prediction.serial, prediction.memory, prediction.interconnect)


def test_attention_kernels_are_known_by_name(prediction):
    assert prediction.groups["attention kernel splash_mha_fwd"].flops == ATTENTION_FLOPS


def test_a_pessimist_waits_for_the_softmax_and_for_collectives_over_half_the_links(prediction):
    operations = 6 * (2 * 5 * 256) * 512
    assert prediction.softmax == pytest.approx(operations / PEAKS.vector)
    assert prediction.pessimistic_seconds == pytest.approx(
        max(prediction.serial + prediction.softmax, prediction.memory) + 2 * prediction.interconnect
    )


def test_channels_that_do_not_fill_the_matrix_unit_lower_its_bound(prediction):
    """The convolution has 64 channels in, 128 out; the unit takes 128 of both."""
    attention = ATTENTION_FLOPS
    assert prediction.padded_flops - attention == 2 * (prediction.flops - attention)


def convolution(text):
    computations, entry = hlo_text.parse("ENTRY %main () -> f32[] {\n" + text + "}\n")
    instructions = computations[entry]
    shapes = {name: instruction.shapes for name, instruction in instructions.items()}
    return hlo_cost.convolution_flops(instructions["product"], shapes)


def test_a_batch_axis_written_as_a_window_is_not_counted_twice():
    """[4,64,32] x [4,32,16], the batch of 4 as a window of which one tap meets an input."""
    flops = convolution("""
  %x = bf16[4,64,32]{2,1,0} parameter(0)
  %y = bf16[4,32,16]{2,1,0} parameter(1)
  %product = bf16[4,64,16]{2,1,0} convolution(%x, %y), window={size=4 stride=3 pad=0_0 lhs_dilate=4}, dim_labels=0bf_0io->0bf
""")  # noqa: E501
    assert flops == 2 * 4 * 64 * 32 * 16


def test_a_window_in_the_padding_is_no_work():
    flops = convolution("""
  %x = bf16[1,64,32]{2,1,0} parameter(0)
  %y = bf16[8,32,16]{2,1,0} parameter(1)
  %product = bf16[8,64,16]{2,1,0} convolution(%x, %y), window={size=8 pad=7_7 rhs_reversal=1}, dim_labels=0bf_0io->0bf
""")  # noqa: E501
    assert flops == 2 * 8 * 64 * 32 * 16


def test_a_strided_convolution_s_gradient_counts_no_inserted_zeros():
    """A stride-2 3x3 convolution backwards, 16 -> 32: a quarter of a plain one's taps."""
    flops = convolution("""
  %x = bf16[1,16,16,8]{3,2,1,0} parameter(0)
  %y = bf16[3,3,8,8]{3,2,1,0} parameter(1)
  %product = bf16[1,32,32,8]{3,2,1,0} convolution(%x, %y), window={size=3x3 pad=1_2x1_2 lhs_dilate=2x2 rhs_reversal=1x1}, dim_labels=b01f_01io->b01f
""")  # noqa: E501
    assert flops == pytest.approx(2 * 16 * 16 * 3 * 3 * 8 * 8, rel=0.1)


def test_a_loop_whose_length_the_compiler_does_not_say_is_read_from_its_counter():
    computations, entry = hlo_text.parse("""
%condition (state: (f32[8], u32[])) -> pred[] {
  %limit = u32[]{:T(128)} constant(8)
  %state = (f32[8]{0}, u32[]{:T(128)}) parameter(0)
  %counter = u32[]{:T(128)} get-tuple-element(%state), index=1
  ROOT %less = pred[] compare(%counter, %limit), direction=LT
}

%body (state: (f32[8], u32[])) -> (f32[8], u32[]) {
  %state = (f32[8]{0}, u32[]{:T(128)}) parameter(0)
  %x = f32[8]{0} get-tuple-element(%state), index=0
  %counter = u32[]{:T(128)} get-tuple-element(%state), index=1
  %two = u32[]{:T(128)} constant(2)
  %next = u32[]{:T(128)} add(%counter, %two)
  ROOT %result = (f32[8]{0}, u32[]{:T(128)}) tuple(%x, %next)
}

ENTRY %main (x: f32[8]) -> f32[8] {
  %start = (f32[8]{0}, u32[]{:T(128)}) parameter(0)
  %while = (f32[8]{0}, u32[]{:T(128)}) while(%start), condition=%condition, body=%body
  ROOT %x = f32[8]{0} get-tuple-element(%while), index=0
}
""")
    assert hlo_text.executed(computations, entry) == [("main", 1), ("body", 4)]
