"""From a run to its report: which maps, which scatter, which words."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groklst_engine.jobs import DownscaleJob
from groklst_engine.methods.base import MethodSpec
from groklst_engine.probe import versions
from groklst_engine.raster import Floats
from groklst_engine.reader import AlignedReader
from groklst_engine.report import Histogram, Panel, Report, Scatter, Unit, write_report
from groklst_engine.scoring import Comparison
from groklst_engine.units import offset_to_kelvin

if TYPE_CHECKING:
    from groklst_engine.auto import Choice
    from groklst_engine.closed_loop import Trial
    from groklst_engine.physics.registration import Registration
    from groklst_engine.uncertainty import ResultError

SCATTER_POINTS = 20_000


def report_of(
    job: DownscaleJob,
    spec: MethodSpec,
    reader: AlignedReader,
    comparisons: list[Comparison],
    choice: Choice | None,
    registration: Registration | None,
    error: ResultError | None,
    warnings: tuple[str, ...],
    seconds: float,
) -> tuple[Path, Path]:
    """Write the report of a run.

    Args:
        job: What was asked.
        spec: The method.
        reader: The inputs.
        comparisons: With the input and, if there was a reference, of result and bicubic with it.
        choice: What ``auto`` tried and chose; None where the method was given.
        registration: What was found in cross-sensor mode; None without.
        error: What is known of the result's errors, if that was asked for.
        warnings: What the run warned of.
        seconds: How long it took.

    Returns:
        The HTML file and the JSON file.

    Raises:
        GroklstError: The report cannot be drawn or written.
    """
    assert job.report is not None
    offset = offset_to_kelvin(reader.lst.unit)
    unit: Unit = "K" if reader.lst.unit == "K" else "°C"
    with_input = comparisons[0]
    left, bottom, right, top = with_input.grid.bounds
    extent = (left, right, bottom, top)

    def panel(title: str, values: Floats, *, difference: bool = False) -> Panel:
        return Panel(title, values if difference else values - np.float32(offset), extent, unit, difference)

    judged = comparisons[1] if len(comparisons) > 1 else with_input
    other = "Input" if judged is with_input else "Reference"
    coarse, fine = reader.pair.coarse, reader.pair.fine
    panels = [
        panel(f"Input, {coarse.pixel[0]:.4g} {coarse.unit_name}", with_input.other_map),
        panel(f"Result, {fine.pixel[0]:.4g} {fine.unit_name}", with_input.output_map),
    ]
    if judged is not with_input:
        panels.append(panel("Reference", judged.other_map))
    if error is not None:
        panels.append(Panel("Standard error of the result", error.map, extent, "K", quantity="Standard error"))
    panels.append(panel(f"Result − {other.lower()}", judged.output_map - judged.other_map, difference=True))
    both = np.isfinite(judged.output_map) & np.isfinite(judged.other_map)
    x, y = judged.other_map[both] - offset, judged.output_map[both] - offset
    step = max(1, len(x) // SCATTER_POINTS)
    series = {"Input": with_input.other_map, "Result": with_input.output_map}
    if judged is not with_input:
        series["Reference"] = judged.other_map
    report = Report(
        title=f"{Path(job.lst.path).name} × {job.scale}",
        summary=_summary(job, spec, comparisons),
        panels=tuple(panels),
        scatter=Scatter(other, "Result", x[::step], y[::step], unit),
        histogram=Histogram({name: values[np.isfinite(values)] - offset for name, values in series.items()}, unit),
        scores=tuple(comparison.row for comparison in comparisons),
        trials=() if choice is None else tuple(_trial(trial, choice) for trial in choice.trials),
        trial_note="" if choice is None else choice.reason,
        registration=None if registration is None else registration.to_json(),
        reliability=() if error is None else tuple(asdict(row) for row in error.calibration.reliability),
        warnings=warnings,
        parameters=job.model_dump(mode="json"),
        provenance={
            "Written": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "Method": f"{spec.label} ({spec.kind}){'; ' + spec.reference if spec.reference else ''}",
            **({"Detail kept": f"{job.detail:.0%}"} if job.detail < 1 else {}),
            **({"Weights SHA-256": spec.sha256} if spec.sha256 else {}),
            "Grid": f"{fine.width} × {fine.height} pixels of {fine.pixel[0]:.6g} {fine.unit_name}, {fine.crs_name}",
            "Guidance bands": ", ".join(reader.roles) or "none",
            "Time": f"{seconds:.1f} s",
            **{f"Version of {name}": version for name, version in versions().items()},
        },
    )
    return write_report(report, job.report)


def _trial(trial: Trial, choice: Choice) -> dict[str, Any]:
    return asdict(trial) | {"damped": trial.damped, "chosen": trial.method == choice.method}


def _summary(job: DownscaleJob, spec: MethodSpec, comparisons: list[Comparison]) -> str:
    kept = "" if job.detail == 1 else f", with {job.detail:.0%} of its detail,"
    done = f"{spec.label}{kept} made the LST {job.scale} times finer"
    if len(comparisons) < 3:
        rmse = comparisons[0].row["rmse"]
        return f"{done}; averaged back to the input's pixels it differs from the input by {rmse:.3f} K (RMSE)."
    ours, bicubic = comparisons[1].row["rmse"], comparisons[2].row["rmse"]
    return f"{done}; against the reference its RMSE is {ours:.2f} K, {ours / bicubic:.2f} times that of bicubic."
