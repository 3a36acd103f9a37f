"""The options that several commands share. Those of an analysis are in crowdmood/settings.py, for job files know them too."""

from __future__ import annotations

import click

from crowdmood.settings import Time, analysis_settings, split

__all__ = ["Time", "analysis_settings", "jobs_option", "results_option", "split"]

results_option = click.option("--results", metavar="FOLDER|s3://BUCKET/PREFIX", envvar="CROWDMOOD_RESULTS",
                              help="Results folder, here or on S3.  [default: ./crowdmood-results]")
jobs_option = click.option("--jobs", metavar="FOLDER", envvar="CROWDMOOD_JOBS", help="The folder of job files.  [default: ./jobs]")
