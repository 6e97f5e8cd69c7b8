"""Small graphs in place of the networks of other packages, and images on which they find something.

The "object" network marks pixels that are redder than green. The "face" network reports a face of
32 x 32 pixels wherever blue has its maximum.
"""

import numpy as np

from rdc_jax.importance import objects

HEIGHT, WIDTH = 96, 128
OBJECT, FACE = np.s_[20:70, 10:60], np.s_[40:44, 100:104]


def image(*, with_object=False, with_face=False):
    pixels = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    if with_object:
        pixels[OBJECT] = 230, 20, 90
    if with_face:
        pixels[FACE] = 90, 90, 255
    return pixels


def write_objects(path, bias=20 * (0.485 - 0.456) - 5):
    from onnx import TensorProto, helper, save

    # Undo the normalisation just so far that grey gives 0.
    weight = np.array([0.229, -0.224, 0.0], np.float32).reshape(1, 3, 1, 1) * 20
    bias = np.array([bias], np.float32)
    constants = [
        helper.make_tensor("weight", TensorProto.FLOAT, weight.shape, weight.ravel()),
        helper.make_tensor("bias", TensorProto.FLOAT, bias.shape, bias),
    ]
    nodes = [
        helper.make_node("Conv", ["image", "weight", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["found"]),
    ]
    shape = (1, 1, objects.SIDE, objects.SIDE)
    save(model(nodes, constants, (1, 3, *shape[2:]), {"found": shape}), path)


def write_faces(path):
    from onnx import TensorProto, helper, save

    def conv(name, weight, bias):
        weight = np.array(weight, np.float32)
        weight = np.repeat(np.repeat(weight[..., None, None], 4, -1), 4, -2) / 16
        bias = np.array(bias, np.float32)
        constants = [
            helper.make_tensor(f"{name} w", TensorProto.FLOAT, weight.shape, weight.ravel()),
            helper.make_tensor(f"{name} b", TensorProto.FLOAT, bias.shape, bias),
        ]
        inputs = ["image", f"{name} w", f"{name} b"]
        return helper.make_node("Conv", inputs, [name], strides=[4, 4]), constants

    parts = [
        conv("likely", [[0, 0, 1 / 255]], [-0.4]),
        conv("sizes", [[0, 0, 0]] * 2, [np.log(8)] * 2),
        conv("offsets", [[0, 0, 0]] * 2, [0, 0]),
    ]
    nodes = [node for node, _ in parts]
    constants = [constant for _, pair in parts for constant in pair]
    shapes = {"likely": (10, 1, 8, 8), "sizes": (10, 2, 8, 8), "offsets": (10, 2, 8, 8)}
    save(model(nodes, constants, (10, 3, 32, 32), shapes), path)


def model(nodes, constants, entry, outputs):
    from onnx import TensorProto, helper

    def value(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    outputs = [value(name, shape) for name, shape in outputs.items()]
    graph = helper.make_graph(nodes, "detector", [value("image", entry)], outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
