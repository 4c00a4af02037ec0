"""TFLite and ONNX files, called without TensorFlow, against the model."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.conftest import randomize
from tests.export import without_tensorflow
from tfp_priors import divergences
from tfp_priors import likelihoods
from tfp_priors import models
from tfp_priors import networks
from tfp_priors import posteriors
from tfp_priors import priors
from tfp_priors.errors import UserError
from tfp_priors.export import export
from tfp_priors.priors.flow import FlowPrior

CLASSES = 3
# What each function gives.
NAMES = {
    "sample": "images",
    "decode": "images",
    "encode": "z",
    "log_prob": "log_prob",
    "to_base": "z0",
    "from_base": "z",
}
FORMATS = {"tflite": "model.tflite", "onnx": "model"}


def on_a_mixture():
    standardize = priors.MixtureStandardization(components=3)
    prior = priors.RealNVPPrior(
        4, couplings=2, hidden_sizes=(8,), standardize=standardize
    )
    random = np.random.RandomState(0)
    codes = np.concatenate([random.randn(200, 4), 0.3 * random.randn(200, 4) + 3.0])
    prior.build((None, 4))
    standardize.fit(codes.astype(np.float32), seed=0)
    return prior


def given_labels(**conditioner):
    return {
        "prior": priors.FlowMatchingPrior(
            4, units=8, steps=3, standardize=True, context_size=CLASSES
        ),
        "divergence": divergences.FlowMatchingDivergence(),
        "conditioner": networks.LabelContext(CLASSES, **conditioner),
    }


def given_attributes():
    prior = priors.RealNVPPrior(4, couplings=2, hidden_sizes=(8,), context_size=CLASSES)
    return {"prior": prior, "conditioner": networks.AttributeContext(CLASSES)}


def given_numbers():
    prior = priors.RealNVPPrior(
        4, couplings=2, hidden_sizes=(8,), standardize=True, context_size=2
    )
    prior.build((None, 4))
    prior.set_statistics(
        np.random.RandomState(0).randn(50, 4).astype(np.float32),
        context=np.random.RandomState(1).randn(50, 2).astype(np.float32) * 9 + 30,
    )
    return prior


def a_generator():
    return {
        "prior": priors.GeneratorPrior(4, hidden_sizes=(8,)),
        "divergence": divergences.MMDDivergence(),
    }


def on_maps(make):
    """A model whose codes are maps."""
    del make
    shape = (4, 4, 2)
    return models.LatentVariableModel(
        encoder=networks.MapEncoder((16, 16, 1), width=2),
        decoder=networks.MapDecoder((16, 16, 1), width=2),
        posterior=posteriors.DeterministicPosterior(shape),
        likelihood=likelihoods.BernoulliLikelihood(),
        prior=priors.FlowMatchingPrior(shape, units=(4, 4), steps=2, standardize=True),
        divergence=divergences.FlowMatchingDivergence(),
        beta=0.0,
    )


#: Models by name, given what makes one of its parts: all are slow but the first.
MODELS = {
    "flow on a mixture": lambda make: make(prior=on_a_mixture()),
    "labels": lambda make: make(**given_labels()),
    "mixture": lambda make: make(
        prior=priors.GaussianMixturePrior(4, components=3, standardize=True)
    ),
    "normal": lambda make: make(
        prior=priors.StandardNormalPrior(4), posterior=posteriors.NormalPosterior(4)
    ),
    "attributes": lambda make: make(**given_attributes()),
    "autoregressive": lambda make: make(
        prior=priors.MaskedAutoregressivePrior(4, flows=2, hidden_sizes=(8,))
    ),
    "generator": lambda make: make(**a_generator()),
    "spline": lambda make: make(
        prior=priors.SplinePrior(4, couplings=2, hidden_sizes=(8,))
    ),
    "maps": on_maps,
}
QUICK = "flow on a mixture"


def called(path, inputs, folder):
    """What a process without TensorFlow makes of the inputs, by function."""
    np.savez(folder / "inputs.npz", **inputs)
    script = Path(without_tensorflow.__file__)
    arguments = [script, path, folder / "inputs.npz", folder / "outputs.npz"]
    subprocess.run([sys.executable, *map(str, arguments)], check=True)
    return dict(np.load(folder / "outputs.npz"))


def expected(model, n=5):
    """Inputs, FUNCTION.ARGUMENT, and outputs, FUNCTION.OUTPUT, of the model itself."""
    random = np.random.RandomState(1)
    inputs, outputs = {}, {}
    condition = ()
    if model.conditioner is not None:
        argument = model.conditioner.argument
        value = np.arange(n, dtype=np.int32) % CLASSES
        if argument == "context":
            value = random.randn(n, 2).astype(np.float32) + 30
        if argument == "attributes":
            value = random.randint(0, 2, (n, CLASSES)).astype(np.float32)
        condition = ((argument, value),)

    def add(name, output, **of):
        inputs.update({f"{name}.{argument}": x for argument, x in of.items()})
        outputs[f"{name}.{NAMES[name]}"] = np.asarray(output)

    given = [value for _, value in condition]
    z = random.randn(n, *model.code_shape).astype(np.float32)
    if model.prior.has_base:
        z0 = random.randn(n, model.prior.base_size).astype(np.float32)
        of_base = {"z0": z0, **dict(condition)}
        add("from_base", model.from_base(z0, *given), **of_base)
        if model.has_decoder:
            how = {"guidance": np.float32(2.0)} if model.has_guidance else {}
            with model.prior.guided(how.get("guidance", 1.0)):
                images = model.decode(model.from_base(z0, *given))
            add("sample", images, **of_base, **how)
    if model.prior.is_invertible:
        add("to_base", model.to_base(z, *given), z=z, **dict(condition))
    if model.prior.has_density and model.prior.has_exact_density:
        add("log_prob", model.log_prob(z, *given), z=z, **dict(condition))
    if model.has_decoder:
        add("decode", model.decode(z), z=z)
    if model.has_encoder:
        images = random.rand(n, *model.image_shape).astype(np.float32)
        add("encode", model.encode(images), images=images)
    return inputs, outputs


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "name",
    [n if n == QUICK else pytest.param(n, marks=pytest.mark.slow) for n in MODELS],
)
def test_functions_are_those_of_the_model(make_model, tmp_path, name, format):
    model = MODELS[name](make_model)
    # As far off, the flow of a U-Net would carry codes to 1e5.
    randomize(model.prior, scale=0.02 if name == "maps" else 0.2)
    inputs, outputs = expected(model)
    path = tmp_path / FORMATS[format]
    export(model, path, format)
    found = called(path, inputs, tmp_path)
    assert set(found) == set(outputs)
    for function, output in outputs.items():
        np.testing.assert_allclose(
            found[function], output, rtol=1e-4, atol=1e-4, err_msg=function
        )


@pytest.mark.slow
@pytest.mark.parametrize("make", [on_a_mixture, given_numbers])
@pytest.mark.parametrize("format", FORMATS)
def test_a_prior_alone(tmp_path, format, make):
    prior = make()
    randomize(prior, scale=0.2)
    inputs, outputs = expected(models.CodeModel(prior))
    path = tmp_path / FORMATS[format]
    export(prior, path, format)
    found = called(path, inputs, tmp_path)
    assert set(found) == set(outputs)
    assert set(found) == {"log_prob.log_prob", "to_base.z0", "from_base.z"}
    for function, output in outputs.items():
        np.testing.assert_allclose(found[function], output, atol=1e-4)


def test_what_is_refused(make_model, tmp_path):
    with pytest.raises(UserError, match="no format 'torch': choose of saved_model, tf"):
        export(make_model(), tmp_path / "model", "torch")
    labels = networks.LabelContext(CLASSES, conditions_networks=True)
    model = make_model(
        encoder=networks.ConditionalEncoder(
            networks.InfoGANEncoder((8, 8, 1 + CLASSES), width=2), labels
        ),
        decoder=networks.ConditionalDecoder(
            networks.InfoGANDecoder((8, 8, 1), width=2), labels
        ),
        **given_labels() | {"conditioner": labels},
    )
    with pytest.raises(UserError, match="networks are conditional"):
        export(model, tmp_path / "model", "tflite")
    assert not any(tmp_path.iterdir())
    (tmp_path / "there").touch()
    with pytest.raises(UserError, match="there exists already"):
        export(make_model(), tmp_path / "there", "tflite")


class SearchingPrior(FlowPrior):
    """By TFP's spline, whose search for a bin neither format has."""

    def bijector(self, context=None):
        del context
        bins = tf.constant([1.0, 1.0])
        return tfp.bijectors.RationalQuadraticSpline(bins, bins, bins[:1], -1.0)


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_operations_that_a_format_does_not_have_are_told(make_model, tmp_path, format):
    model = make_model(prior=SearchingPrior(4))
    with pytest.raises(UserError, match="has no operations for .* of a SearchingPrior"):
        export(model, tmp_path / "model", format)
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "posterior",
    [posteriors.NormalPosterior(4), posteriors.FixedScaleNormalPosterior(4)],
    ids=["learned scale", "fixed scale"],
)
def test_onnx_of_keras(posterior, make_model, tmp_path):
    import onnxruntime

    model = make_model(posterior=posterior)
    images = np.random.RandomState(0).rand(3, 8, 8, 1).astype(np.float32)
    model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (given,) = session.get_inputs()
    (reconstructed,) = session.run(None, {given.name: images})
    np.testing.assert_allclose(reconstructed, model(images), atol=1e-5)
