"""A folder of ONNX files, one for each of the model's functions."""

from pathlib import Path

import tensorflow as tf

from tfp_priors.errors import imported
from tfp_priors.errors import silenced
from tfp_priors.export.portable import OUTPUTS
from tfp_priors.export.portable import no_place
from tfp_priors.export.portable import portable_functions
from tfp_priors.models import PriorModel

# Of the standard's operations; that of 2022, which runtimes of today know.
_OPSET = 17

# Of its types.
_INT64, _BOOL = 7, 9


def write_onnx(model: PriorModel, folder: Path) -> None:
    """Writes `folder`/NAME.onnx for each of `portable_functions`.

        session = onnxruntime.InferenceSession("sampler/sample.onnx")
        z0 = np.random.randn(64, 8).astype("float32")
        (images,) = session.run(None, {"z0": z0})

    Raises:
      UserError: as `portable_functions`, if tf2onnx is not installed, and if it has no
        operations for the model's.
    """
    onnx, tf2onnx = (
        imported(name, "onnx", "the format onnx") for name in ("onnx", "tf2onnx")
    )
    errors = (
        ValueError,
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
    )
    folder.mkdir()
    for name, function, signature in portable_functions(model):
        try:
            # What it lacks, it tells in hundreds of lines too.
            with silenced():
                converted, _ = tf2onnx.convert.from_function(
                    tf.function(function, autograph=False),
                    signature,
                    opset=_OPSET,
                    custom_op_handlers={
                        "BroadcastArgs": (_broadcast_shapes, []),
                        "SelectV2": (_where, []),
                    },
                )
            _name(converted.graph, OUTPUTS[name])
            onnx.checker.check_model(converted, full_check=True)
        except errors as error:
            raise no_place(model, name, "ONNX") from error
        onnx.save(converted, folder / f"{name}.onnx")


def _name(graph, name):
    """Calls the one output by a name, and the batch n."""
    (output,) = graph.output
    for node in graph.node:
        node.output[:] = [name if o == output.name else o for o in node.output]
        node.input[:] = [name if i == output.name else i for i in node.input]
    output.name = name
    for value in (*graph.input, output):
        dimensions = value.type.tensor_type.shape.dim
        if dimensions and not dimensions[0].dim_value:
            dimensions[0].dim_param = "n"


def _broadcast_shapes(graph, node, name, _):
    """Writes BroadcastArgs: the shape of the sum of two tensors of those shapes."""
    dtype, outputs = graph.get_dtype(node.output[0]), node.output

    def added(operation, *inputs, **attributes):
        return graph.make_node(operation, [*inputs], attributes).output[0]

    zeros = (
        added("ConstantOfShape", added("Cast", shape, to=_INT64))
        for shape in node.input
    )
    shape = added("Shape", added("Add", *zeros))
    graph.remove_node(name)
    graph.make_node("Cast", [shape], {"to": dtype}, outputs=outputs, name=name)


def _where(graph, node, name, _):
    """Writes SelectV2 as it is; tf2onnx multiplies, and a NaN left out stays one."""
    (chosen, one, other), outputs = node.input, node.output
    is_bool = graph.get_dtype(outputs[0]) == _BOOL
    graph.remove_node(name)
    if not is_bool:
        graph.make_node("Where", [chosen, one, other], outputs=outputs, name=name)
        return
    # onnxruntime chooses numbers alone.
    left_out = graph.make_node("Not", [chosen]).output[0]
    one = graph.make_node("And", [chosen, one]).output[0]
    other = graph.make_node("And", [left_out, other]).output[0]
    graph.make_node("Or", [one, other], outputs=outputs, name=name)
