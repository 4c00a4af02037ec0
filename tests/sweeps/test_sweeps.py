"""bin/sweep: grids of real runs, one of which fails, or which are killed half-way."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from tests import commands
from tests.figures.files import read_rows
from tests.sweeps.begun import finish
from tests.sweeps.begun import rows
from tests.sweeps.begun import start
from tfp_priors import sweeps
from tfp_priors.errors import UserError
from tfp_priors.evaluation.records import record
from tfp_priors.report import gallery
from tfp_priors.runs import run_dir

# Small, and bit for bit the same on any machine.
PARAMS = [*commands.TINY, "train.batch_size = 8", "train.checkpoint_every = 5"]
METRICS = "two_sample_accuracy_quadratic_test,reconstruction_error500_test"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("BETA=0.0,1e-3, 1", ["0.0", "1e-3", "1"]),
        ("a.b=(1, 2),(3,)", ["(1, 2)", "(3,)"]),
        ("x=@A(),'b,c',None", ["@A()", "'b,c'", "None"]),
        ("x=[1, 2],{'a': 1, 'b': 2}", ["[1, 2]", "{'a': 1, 'b': 2}"]),
        ("x=((1,2),(3,4)),5", ["((1,2),(3,4))", "5"]),
        ("x=')',[']',2]", ["')'", "[']',2]"]),
    ],
)
def test_axis(text, values):
    axis = sweeps.parse_axis(text)
    assert axis.values == values
    assert axis.name == text.split("=")[0]


@pytest.mark.parametrize("text", ["", "BETA", "BETA=", "=1", "BETA=1,1"])
def test_axis_without_name_or_with_equal_values(text):
    with pytest.raises(UserError, match=r"expected --grid=NAME=VALUE,VALUE"):
        sweeps.parse_axis(text)


@pytest.mark.parametrize("values", ["[1,2", "'a,b", "1,(2", "[1],[2", '"'])
def test_axis_with_an_open_bracket_or_quote(values):
    with pytest.raises(UserError, match="x=.* has a bracket or a quote that is not cl"):
        sweeps.parse_axis(f"x={values}")


def make_plan(axes, flags=("--gin_file=gin/{data}_vae.gin",), metrics=("is50k",)):
    axes = [sweeps.parse_axis(axis) for axis in axes]
    return sweeps.plan("out", axes, flags, ["--classifier=runs/{data}"], metrics)


def test_plan_crosses_all_axes_the_last_one_fastest():
    runs = make_plan(["data=mnist,cifar10", "A.BETA=0.0,1.0", "seed=3,4"])
    assert [run.name for run in runs[:3]] == [
        "mnist_BETA=0.0_seed=3",
        "mnist_BETA=0.0_seed=4",
        "mnist_BETA=1.0_seed=3",
    ]
    assert len({run.folder for run in runs}) == 8
    run = runs[-1]
    assert run.values == {"data": "cifar10", "A.BETA": "1.0", "seed": "4"}
    assert run.train == [
        "--run_dir=out/cifar10_BETA=1.0_seed=4",
        "--gin_file=gin/cifar10_vae.gin",
        "--gin_param=A.BETA = 1.0",
        "--seed=4",
    ]
    assert run.evaluate == [
        "--run_dir=out/cifar10_BETA=1.0_seed=4",
        "--classifier=runs/cifar10",
        "--seed=4",
        "--metrics=is50k",
    ]


@pytest.mark.parametrize(
    ("axes", "kwargs", "message"),
    [
        (["data=mnist", "data=cifar10"], {}, "--grid has data twice"),
        (["data=mnist"], {"metrics": ["fd"]}, "There is no metric 'fd'"),
        (["data=mnist", "X='a/b','a b'"], {}, "two runs .* one name"),
        (
            ["train.steps=1,2"],
            {"flags": ("--steps=3",)},
            "which --steps=3 fixes: leave",
        ),
        (
            ["BETA=1,2"],
            {"flags": ("--gin_param=BETA = 3",)},
            "which --gin_param=BETA = ",
        ),
        (["seed=1,2", "train.seed=1,2"], {"flags": ()}, "has seed and train.seed"),
        (["metric=1,2"], {}, "has metric, which is a column of the results"),
        (["data=a,b"], {"flags": ()}, ".data. stands in flags of bin/evaluate alone"),
    ],
)
def test_plan_refuses(axes, kwargs, message):
    with pytest.raises(UserError, match=message):
        make_plan(axes, **kwargs)


def test_an_axis_that_only_the_measuring_names_is_trained_by_too():
    axes = [sweeps.parse_axis(axis) for axis in ("LATENT_SIZE=2,4", "seed=3,4")]
    flags = ["--gin_file=gin/mnist_vae.gin"]
    networks = ["--classifier=runs/c_{LATENT_SIZE}_{seed}"]
    run = sweeps.plan("out", axes, flags, networks, ["fcd10k_test"])[-1]
    assert run.name == "LATENT_SIZE=4_seed=4"
    assert run.train[1:] == [*flags, "--gin_param=LATENT_SIZE = 4", "--seed=4"]
    assert run.evaluate[1:3] == ["--classifier=runs/c_4_4", "--seed=4"]


@pytest.mark.parametrize(
    ("metric", "flags", "message"),
    [
        ("fcd10k_test", [], "fcd10k_test needs another network: expected --classifier"),
        ("prdc_classifier10k_test", [], "expected --classifier"),
        ("pose_error5k", [], "expected --keypoint_regressor"),
        ("lpips_diversity_alex_v0.1_1c2kp", [], "expected --lpips_weights"),
        (
            "fid10k_test",
            ["--inception_dir={a}_"],
            "run a: --inception_dir=a_ is not th",
        ),
        ("fcd10k_test", ["--classifier=tests"], "--classifier=tests is not there"),
    ],
)
def test_what_measures_is_looked_for_before_a_training(metric, flags, message):
    axes = [sweeps.parse_axis("a=a,b")]
    train = ["--gin_file=gin/{a}.gin"]
    run = sweeps.plan("out", axes, train, flags, [metric])[0]
    with pytest.raises(UserError, match=message):
        sweeps.check_networks(run)


def test_inception_is_downloaded_without_a_flag(tmp_path):
    axes = [sweeps.parse_axis("seed=0,1")]
    (tmp_path / "config.gin").touch()
    flags = [f"--classifier={tmp_path}"]
    metrics = ["fid10k_test", "fcd10k_test", "memorization_pixels10k"]
    sweeps.check_networks(sweeps.plan("out", axes, [], flags, metrics)[0])


def sweep_flags(folder, out, grid, **flags):
    return {
        "out": folder / out,
        "gin_file": "gin/embedded_digits_{model}.gin",
        "gin_param": PARAMS,
        "steps": 10,
        "grid": grid,
        "metrics": METRICS,
        "data_dir": folder / "data",
        "cache_dir": folder / "cache",
        **flags,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data_dir):
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "data").symlink_to(data_dir)
    return folder


GRID = ["model=vae,beta0", "seed=0,1"]


@pytest.mark.slow
def test_one_failed_run_does_not_lose_the_others(folder):
    grid = ["model=vae", "LATENT_SIZE=2,0,3"]
    flags = sweep_flags(folder, "failing", grid)
    process = commands.run("sweep", code=1, **flags)
    assert process.stderr.splitlines()[-1].startswith(
        "sweep: 1 of 3 runs failed: vae_LATENT_SIZE=0. See "
    )
    assert "vae_LATENT_SIZE=0: FAILED, bin/train ended with code 2: train: " in (
        process.stderr
    )
    table = rows(folder / "failing")
    assert [(row["LATENT_SIZE"], row["metric"]) for row in table] == [
        (size, name) for size in "23" for name in METRICS.split(",")
    ]
    for row in table:
        folder_of_run = folder / "failing" / row["run"]
        lines = (folder_of_run / "metrics.jsonl").read_text().splitlines()
        values = {r["name"]: r["value"] for r in map(json.loads, lines)}
        assert float(row["value"]) == values[row["metric"]]
        assert row["step"] == "10"
    # What is done is left out, what failed is tried again.
    again = commands.run("sweep", code=1, **flags)
    assert "3 runs in" in again.stderr and "2 of them done." in again.stderr
    assert "[1/1] vae_LATENT_SIZE=0: FAILED" in again.stderr
    assert rows(folder / "failing") == table
    # The figures are of the same numbers.
    commands.run(
        "figures",
        "--report",
        sweep=folder / "failing",
        out=folder / "figures",
        data_dir=folder / "data",
    )
    for name in METRICS.split(","):
        drawn = {
            row["x"]: float(row["mean"])
            for row in read_rows(folder / "figures" / f"{name}.csv")
        }
        measured = {
            row["LATENT_SIZE"]: float(row["value"])
            for row in table
            if row["metric"] == name
        }
        assert drawn == pytest.approx(measured, rel=1e-5)
    assert (folder / "figures" / "draws_all.png").exists()
    assert (folder / "figures" / "report.html").exists()
    # Flags that mean another training are not taken for what is there.
    flags |= {"grid": ["model=vae", "LATENT_SIZE=2"]}
    other = flags | {"gin_param": [*PARAMS, "train.clip_norm = 1.0"]}
    process = commands.run("sweep", code=1, **other)
    assert "1 runs in" in process.stderr and "0 of them done" in process.stderr
    assert "holds a run of another configuration" in process.stderr
    # More steps are.
    process = commands.run("sweep", **(flags | {"steps": 11}))
    assert "0 of them done" in process.stderr
    steps = {row["run"]: row["step"] for row in rows(folder / "failing")}
    assert steps == {"vae_LATENT_SIZE=2": "11", "vae_LATENT_SIZE=3": "10"}
    # Other words for the same training are known once it was asked for by them.
    words = [param.replace(" = ", "=") for param in PARAMS]
    for done in (0, 1):
        process = commands.run("sweep", **(flags | {"steps": 11, "gin_param": words}))
        assert f"{done} of them done" in process.stderr


def describe(out, *grids):
    for grid in grids:
        axes = [sweeps.parse_axis(axis) for axis in grid]
        sweeps.describe(sweeps.plan(out, axes, [], [], ["is50k"]))


def test_layout_puts_the_last_numbers_on_x_and_the_last_words_on_lines(tmp_path):
    describe(tmp_path, ["data=a,b", "SIZE=8", "model=c,d", "BETA=0.0,1e-2", "seed=0,1"])
    layout = sweeps.layout(tmp_path)
    assert layout == sweeps.Layout("BETA", "model", ["data", "SIZE"])
    values = {"data": "a", "SIZE": "8", "model": "d", "BETA": "1e-2"}
    assert layout.panel_of(values) == "a 8" and layout.line_of(values) == "d"


def test_the_first_seed_of_each_point_ordered_by_numbers(tmp_path):
    axes = ["data=a", "model=d,c", "BETA=0.1,1e-2,0.0", "seed=1,0"]
    describe(tmp_path, axes)
    for run in sweeps.values_of(tmp_path):
        if "BETA=0.0" not in run:
            run_dir.set_finished(tmp_path / run, 7)
    assert sweeps.first_of_each(tmp_path) == {
        "a": {
            f"{model}, {beta}": tmp_path / f"data=a_model={model}_BETA={beta}_seed=0"
            for model in "cd"
            for beta in ("1e-2", "0.1")
        }
    }


def test_layout_of_one_axis_and_of_none(tmp_path):
    describe(tmp_path / "one", ["BETA=0.0,1e-2", "seed=0,1"])
    layout = sweeps.layout(tmp_path / "one")
    assert layout == sweeps.Layout("BETA", None, [])
    assert layout.line_of({"BETA": "1"}) == layout.panel_of({"BETA": "1"}) == "all"
    for name, axes in {"words": ["m=a,b"], "below": ["m=a,b", "x=-1,1,inf"]}.items():
        describe(tmp_path / name, axes)
        assert sweeps.layout(tmp_path / name).x is None
    with pytest.raises(UserError, match="is not a sweep: expected an --out"):
        sweeps.layout(tmp_path)


def test_runs_without_an_axis_of_numbers_stand_by_their_words(tmp_path):
    describe(tmp_path, ["model=a,b", "seed=1,0"], ["model=c"])
    for run in sweeps.values_of(tmp_path):
        if run != "model=b_seed=0":
            run_dir.set_finished(tmp_path / run, 7)
    assert sweeps.first_of_each(tmp_path) == {
        "all": {
            "a": tmp_path / "model=a_seed=0",
            "b": tmp_path / "model=b_seed=1",
            "c": tmp_path / "model=c",
        }
    }


def test_a_table_holds_finished_models_of_all_grids_in_a_folder(tmp_path):
    describe(tmp_path, ["BETA=0.0,1.0", "seed=0"], ["BETA=0.0", "SIZE=4"])
    for name, step, value in (
        ("BETA=0.0_seed=0", 7, 0.25),
        ("BETA=0.0_SIZE=4", 7, 0.5),
        ("BETA=1.0_seed=0", None, 0.75),
    ):
        results = [
            {"name": "old", "metric": "old", "value": 0.0, "step": 5, "of": "x"},
            {"name": "m", "metric": "m", "value": 0.0, "step": 7, "of": "x"},
            {"name": "m", "metric": "m", "value": value, "step": 7, "of": "x"},
        ]
        run_dir.record_metrics(tmp_path / name, results)
        run_dir.set_finished(tmp_path / name, step)
    sweeps.write_table(sweeps.table(tmp_path), tmp_path / "results.csv")
    assert (tmp_path / "results.csv").read_text().splitlines() == [
        "BETA,SIZE,run,metric,value,step,seed",
        "0.0,4,BETA=0.0_SIZE=4,m,0.5,7,",
        "0.0,,BETA=0.0_seed=0,m,0.25,7,0",
    ]


def test_a_result_is_of_the_weights_that_a_run_keeps(tmp_path):
    """After a phase at rest these are the best of held-out images, not the last."""
    describe(tmp_path, ["BETA=0.0,1.0"])
    for name, best in (("BETA=0.0", 5), ("BETA=1.0", None)):
        result = {"name": "m", "metric": "m", "value": 0.5, "step": 5, "of": "x"}
        run_dir.record_metrics(tmp_path / name, [result])
        run_dir.set_finished(tmp_path / name, 7, best)
    assert [row["run"] for row in sweeps.table(tmp_path)] == ["BETA=0.0"]


def measured(folder, value, seed=0, **told):
    """A finished run with a result, as bin/train and bin/evaluate leave it."""
    run_dir.set_finished(folder, 7)
    result = {"name": "m", "metric": "is50k", "value": value, "step": 7, "seed": seed}
    run_dir.record_metrics(folder, [result | told])


def trained_network(folder, checksum, step=5):
    """What is left of a network's run but its weights."""
    checkpoint = folder / "checkpoints" / f"step_{step:08d}"
    checkpoint.mkdir(parents=True, exist_ok=True)
    record = {"format": 1, "step": step, "sha256": checksum}
    (checkpoint / "checkpoint.json").write_text(json.dumps(record))
    return folder


def plan_of_one(out, *evaluate_flags, axes=("BETA=1.0",), metrics=("is50k",)):
    axes = [sweeps.parse_axis(axis) for axis in axes]
    (run,) = sweeps.plan(
        out, axes, ["--gin_file=gin/mnist_vae.gin"], evaluate_flags, metrics
    )
    if not run.folder.is_dir():
        command = ["bin/train", *run.train]
        run.folder.mkdir(parents=True)
        text = json.dumps({"command": command}) + "\n"
        (run.folder / "environment.jsonl").write_text(text)
    sweeps.describe([run])
    return run


def test_a_later_result_by_another_seed_hides_none(tmp_path):
    run = plan_of_one(tmp_path, axes=("BETA=1.0", "seed=2"))
    measured(run.folder, 0.25, seed=2)
    measured(run.folder, 0.5, seed=0)
    assert run.is_done and values(tmp_path) == [0.25]


def values(out):
    return [row["value"] for row in sweeps.table(out)]


def test_results_by_another_classifier_are_not_those_that_were_asked_for(tmp_path):
    a, b = (trained_network(tmp_path / n, f"sha of {n}") for n in "ab")
    out = tmp_path / "out"
    run = plan_of_one(out, f"--classifier={a}")
    told = {"extractor": "classifier", "extractor_identity": "classifier-sha of a"}
    measured(run.folder, 0.25, **told)
    assert run.is_done and values(out) == [0.25]
    # Another metric is not there yet.
    assert not plan_of_one(out, f"--classifier={a}", metrics=("cs10k",)).is_done
    run = plan_of_one(out, f"--classifier={b}")
    assert not run.is_done and values(out) == []
    assert [command[0] for command in run.commands()] == ["bin/evaluate"]
    measured(run.folder, 0.5, **told | {"extractor_identity": "classifier-sha of b"})
    assert run.is_done and values(out) == [0.5]
    # A grid that asks no classifier takes nothing away.
    assert plan_of_one(out).is_done and values(out) == [0.5]
    # The same weights elsewhere are the same network, others in its folder are not.
    same = trained_network(tmp_path / "same", "sha of b")
    assert plan_of_one(out, f"--classifier={same}").is_done
    copied = shutil.copytree(
        b / "checkpoints" / "step_00000005", b / "checkpoints" / "step_00000005_copy"
    )
    record = (copied / "checkpoint.json").read_text()
    (copied / "checkpoint.json").write_text(record.replace("sha of b", "sha of a"))
    assert plan_of_one(out, f"--classifier={b}").is_done
    trained_network(b, "sha of more steps", step=6)
    assert not plan_of_one(out, f"--classifier={b}").is_done and values(out) == []
    assert not plan_of_one(out, f"--classifier={tmp_path / 'none'}").is_done


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("inception_dir", {"extractor": "inception", "extractor_identity": "x"}),
        ("lpips_weights", {"metric": "lpips_diversity_alex_v0.1_1c2kp"}),
    ],
)
def test_results_by_another_file_are_not_those_that_were_asked_for(
    tmp_path, flag, told
):
    metrics = (told.get("metric", "is50k"),)
    run = plan_of_one(tmp_path, f"--{flag}=a", metrics=metrics)
    measured(run.folder, 0.25, **told, networks={flag: "a"})
    assert run.is_done and values(tmp_path) == [0.25]
    run = plan_of_one(tmp_path, f"--{flag}=b", metrics=metrics)
    assert not run.is_done and values(tmp_path) == []
    # A release that did not tell measured what it was given.
    measured(run.folder, 0.5, **told)
    assert run.is_done and values(tmp_path) == [0.5]
    # What asks no network stands on none.
    measured(run.folder, 0.75, networks={flag: "a"})
    assert plan_of_one(tmp_path, f"--{flag}=c").is_done


def test_results_of_another_seed_are_not_those_that_were_asked_for(tmp_path):
    run = plan_of_one(tmp_path, axes=("seed=3",))
    measured(run.folder, 0.25, seed=4)
    assert not run.is_done and values(tmp_path) == []
    measured(run.folder, 0.5, seed=3)
    assert run.is_done and values(tmp_path) == [0.5]
    # Folders of earlier releases do not say what measures them.
    (run.folder / "sweep.json").write_text(json.dumps({"values": {"seed": "3"}}))
    assert values(tmp_path) == [0.5]


def test_no_number_is_an_empty_cell_and_no_point(tmp_path):
    out = tmp_path / "out"
    for beta, value in (("0.0", float("nan")), ("1.0", 0.5)):
        measured(plan_of_one(out, axes=(f"BETA={beta}",)).folder, value)
    sweeps.write_table(sweeps.table(out), tmp_path / "results.csv")
    assert [row["value"] for row in read_rows(tmp_path / "results.csv")] == ["", "0.5"]
    gallery.scores(out, tmp_path / "figures")
    (point,) = read_rows(tmp_path / "figures" / "m.csv")
    assert (float(point["x"]), float(point["mean"])) == (1.0, 0.5)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ("BETTA=0.1,1.0", "run BETTA=0.1: In 'BETTA = 0.1': BETTA has no effect: "),
        ("Adam.learning_rate=1e-3,1e-4", "it is overridden by autoencoder/Adam.learn"),
        ("train.steps=10,1.5", "run steps=1.5: train.steps = 1.5: expected int."),
        ("model=vae,beta0", "run beta0: In 'LinearAnnealing.steps = 5': LinearAnneal"),
        (
            "model=vae,vea",
            "run vea: There is no gin file gin/embedded_digits_vea.gin. Did you mean "
            "gin/embedded_digits_vae.gin?",
        ),
    ],
)
def test_a_grid_is_refused_before_any_run_of_it(refused, grid, message):
    model = "{model}" if "model" in grid else "vae"
    gin_file = f"gin/embedded_digits_{model}.gin"
    param = "LinearAnnealing.steps = 5"
    assert message in refused(gin_file=gin_file, gin_param=param, grid=grid)


def test_a_sweep_in_a_file_is_refused(tmp_path):
    out = tmp_path / "file"
    out.touch()
    flags = {"gin_file": "gin/embedded_digits_vae.gin", "grid": "BETA=1.0"}
    line = commands.refused("sweep", out=out, **flags)
    assert f"--out={out} is a file: expected the folder of a sweep." in line


def test_printed_commands_can_be_pasted(tmp_path):
    out = tmp_path / "my sweep's ü"
    flags = {"gin_file": "gin/embedded_digits_vae.gin", "grid": "BETA=1.0"}
    line = commands.run("sweep", "--print_commands", out=f"{out}/", **flags).stdout
    # What a shell makes of it.
    script = line.replace(" && ", "\n").replace("bin/", "printf '%s\\n' bin/")
    shell = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    words = shell.stdout.splitlines()
    assert words[:4] == [
        "bin/train",
        f"--run_dir={out}/BETA=1.0",
        "--gin_file=gin/embedded_digits_vae.gin",
        "--gin_param=BETA = 1.0",
    ]
    assert f"--run_dir={out}/BETA=1.0" in words[4:]


def test_flags_are_asked_for():
    assert "expected --out, --gin_file and --grid" in commands.refused("sweep")
    line = commands.refused(
        "sweep", out="x", gin_file="gin/mnist_vae.gin", grid="BETA", metrics="fd"
    )
    assert "expected --grid=NAME=VALUE" in line


@contextlib.contextmanager
def tensorboard(folder):
    """A real TensorBoard of the folder; gives its address."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", f"--logdir={folder}"]
    with subprocess.Popen(
        [*command, "--host=localhost", f"--port={port}"],
        env=commands.ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            yield f"http://localhost:{port}"
        finally:
            server.terminate()


def ask(url, **body):
    """What a page of TensorBoard's HParams asks of its server; None if it is not up."""
    data, header = json.dumps(body).encode(), {"Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, header)) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        error.close()
    except urllib.error.URLError:
        pass
    return None


@pytest.mark.slow
def test_tensorboard_shows_the_hparams(tmp_path):
    describe(tmp_path, ["model=vae,beta0", "BETA=0.0,1.0"])
    expected = {}
    for i, (run, values) in enumerate(sweeps.values_of(tmp_path).items()):
        results = [
            {"name": name, "metric": name, "value": value}
            for name, value in (("fcd10k_test", 2.5 + i), ("cs10k", 0.5 * i))
        ]
        record(tmp_path / run, results, 7)
        run_dir.set_finished(tmp_path / run, 7)
        for result in results:
            key = (values["model"], float(values["BETA"]), result["name"])
            expected[key] = result["value"]
    # Twice, as a sweep that goes on does.
    sweeps.write_hparams(tmp_path)
    sweeps.write_hparams(tmp_path)
    shown = {}
    with tensorboard(tmp_path) as url:
        end = time.monotonic() + 60
        while len(shown) < len(expected) and time.monotonic() < end:
            time.sleep(0.5)
            page = f"{url}/data/plugin/hparams"
            experiment = ask(f"{page}/experiment", experimentName="")
            if experiment is None:
                continue
            columns = [{"metric": m["name"]} for m in experiment.get("metricInfos", [])]
            reply = ask(
                f"{page}/session_groups",
                experimentName="",
                allowedStatuses=["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_RUNNING"],
                colParams=columns,
                startIndex=0,
                sliceSize=100,
            )
            shown = {
                (
                    group["hparams"]["model"],
                    group["hparams"]["BETA"],
                    metric["name"]["tag"],
                ): metric["value"]
                for group in (reply or {}).get("sessionGroups", [])
                for metric in group.get("metricValues", [])
            }
    assert shown == pytest.approx(expected, rel=1e-6)


# Whole sweeps, slow ----------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(folder):
    """The table of a sweep that nothing disturbed."""
    finish(start(jobs=2, **sweep_flags(folder, "whole", GRID)))
    return rows(folder / "whole")


def wait_for(path, seconds=120):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"no {path}"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize(
    "after", ["vae_seed=1/checkpoints/step_00000005", "vae_seed=1/finished.json"]
)
def test_a_sweep_ended_half_way_resumes_to_the_same_table(folder, whole, number, after):
    name = f"half_{number}_{after[-4:]}"
    flags = sweep_flags(folder, name, GRID)
    out = folder / name
    process = start(jobs=2, **flags)
    wait_for(out / after)
    process.send_signal(number)
    said = finish(process, 0 if number == signal.SIGTERM else -number)
    if number == signal.SIGTERM:
        assert "Stopped; the same command goes on." in said
        # Whatever it started has ended.
        with run_dir.RunLock(out / "vae_seed=1"):
            pass
    assert not all((out / row["run"] / "finished.json").exists() for row in whole)
    finish(start(jobs=2, **flags))
    assert rows(out) == whole
    assert len(list(out.glob("*/finished.json"))) == 4


@pytest.mark.slow
def test_printed_commands_make_the_same_sweep(folder, whole):
    flags = sweep_flags(folder, "commands", GRID)
    printed = commands.run("sweep", "--print_commands", **flags).stdout.splitlines()
    assert len(printed) == 4
    for line in printed:
        subprocess.run(
            line,
            shell=True,
            check=True,
            cwd=commands.ROOT,
            env=commands.ENVIRONMENT | {"TF_DETERMINISTIC_OPS": "1"},
            capture_output=True,
        )
    process = commands.run("sweep", **flags)
    assert "4 runs in" in process.stderr and "4 of them done" in process.stderr
    assert rows(folder / "commands") == whole
    assert not (folder / "commands" / "logs").exists()
