"""`python -m training COMMAND`: work on the model, offline."""

import argparse
import logging
import sys

from neuroscan.network.bundle import BundleError
from training import (
    calibrate,
    card,
    evaluate,
    explain_quality,
    explanations,
    export,
    fit_segmenter,
    folds,
    inspect_data,
    keras_weights,
    segment,
    train,
)
from training.errors import DataError
from training.recipe import RecipeError


def main() -> int:
    """Run one command; 0 when it succeeded, 1 with a sentence on stderr when not."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "calibrate", help="fit temperature, prediction sets, input check and maps of a bundle"
    )
    calibrate.add_arguments(command)
    command.set_defaults(run=calibrate.main)
    command = commands.add_parser("data", help="count the data's pictures, duplicates and leaks")
    inspect_data.add_arguments(command)
    command.set_defaults(run=inspect_data.main)
    command = commands.add_parser(
        "convert-weights", help="ImageNet weights of Keras as a file to start from"
    )
    keras_weights.add_arguments(command)
    command.set_defaults(run=keras_weights.main)
    command = commands.add_parser("train", help="train the network by a recipe")
    train.add_arguments(command)
    command.set_defaults(run=train.main)
    command = commands.add_parser("folds", help="mean and spread of runs of all folds")
    folds.add_arguments(command)
    command.set_defaults(run=folds.main)
    command = commands.add_parser("export", help="write the best weights of a run as a bundle")
    export.add_arguments(command)
    command.set_defaults(run=export.main)
    command = commands.add_parser("segment", help="train the segmentation decoder of a bundle")
    segment.add_arguments(command)
    command.set_defaults(run=segment.main)
    command = commands.add_parser(
        "fit-segmenter", help="fit a trained decoder's thresholds and put it into its bundle"
    )
    fit_segmenter.add_arguments(command)
    command.set_defaults(run=fit_segmenter.main)
    command = commands.add_parser(
        "explain-quality", help="every map against annotated tumors, with baselines"
    )
    explain_quality.add_arguments(command)
    command.set_defaults(run=explain_quality.main)
    command = commands.add_parser("evaluate", help="measure a bundle on a split")
    evaluate.add_arguments(command)
    command.set_defaults(run=evaluate.main)
    command = commands.add_parser(
        "compare-explanations", help="the three explanation methods side by side"
    )
    explanations.add_arguments(command)
    command.set_defaults(run=explanations.main)
    command = commands.add_parser("card", help="write a bundle's README from its measurements")
    card.add_arguments(command)
    command.set_defaults(run=card.main)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        arguments.run(arguments)
    except (BundleError, DataError, RecipeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
