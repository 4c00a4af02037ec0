"""Reports: a page of HTML in one file about a run or a sweep."""

from pathlib import Path

from tfp_priors import remote
from tfp_priors.errors import UserError
from tfp_priors.files import write_text
from tfp_priors.report import page
from tfp_priors.report.run import run_sections
from tfp_priors.report.sweep import sweep_sections
from tfp_priors.runs.run_dir import CONFIG
from tfp_priors.sweeps import values_of


def write_report(
    folder: str | Path, figures: str | Path | None, path: str | Path
) -> None:
    """Writes the report of a run or of a sweep.

    Args:
      folder: of a run of bin/train, or of a sweep of bin/sweep.
      figures: folder of pictures to show, or None.
      path: HTML file to write.

    Raises:
      UserError: if folder is neither, or a picture is none.
    """
    folder = Path(folder)
    if (folder / CONFIG).is_file():
        sections = run_sections(folder, figures)
    elif values_of(folder):
        sections = sweep_sections(folder, figures)
    else:
        raise UserError(
            f"{folder} is neither a run nor a sweep: it has no {CONFIG} and no "
            "runs. Expected a --run_dir of bin/train or an --out of bin/sweep."
        )
    # What is on a store is named as the user did, not by its copy.
    write_text(path, remote.named(page.page(folder.resolve().name, sections)))
