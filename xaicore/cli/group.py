"""The group of commands: each is imported when it is asked for, plugins add theirs, mistakes are one message."""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING

import click

import xaicore
from xaicore.errors import XaicoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import IO

# command -> (where it is, its line in the help): the help alone then imports none of them
COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("xaicore.cli.demo:demo", "Explain three real networks on real data, on one HTML page."),
    "doctor": ("xaicore.cli.doctor:doctor", "Show versions, plugins and what is broken."),
    "explain": ("xaicore.cli.explain:explain", "Explain a model's predictions; write arrays and heatmaps."),
    "list": ("xaicore.cli.names:list_names", "List the names of methods, rules, filters."),
    "plan": ("xaicore.cli.plan:plan", "Show what every operation of a model would get, without running it."),
    "run": ("xaicore.cli.run:run", "Run what a YAML file asks for: model, data, target, analyzers."),
    "show": ("xaicore.cli.names:show", "Show parameters, formula, publication and origin of a name."),
}


class Refused(click.ClickException):
    """A mistake of the user: one message, exit code 2, no traceback."""

    exit_code = 2

    def show(self, file: IO[str] | None = None) -> None:
        """Print the message to the standard error."""
        click.echo(f"{click.style('Error:', fg='red', bold=True)} {self.format_message()}", file=file, err=file is None)


class Commands(click.Group):
    """Own commands by the table above, others by the hook ``xaicore_commands``; own names cannot be taken."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        del ctx
        return sorted({*COMMANDS, *_of_plugins()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        del ctx
        if cmd_name in COMMANDS:
            module, _, attribute = COMMANDS[cmd_name][0].partition(":")
            command: click.Command = getattr(importlib.import_module(module), attribute)
            return command
        return _of_plugins().get(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing ours."""
        del ctx
        plugins = {name: command.get_short_help_str() for name, command in _of_plugins().items()}
        lines = plugins | {name: line for name, (_, line) in COMMANDS.items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted(lines.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; turn our own errors into one message, and warnings into one line each."""
        with warnings.catch_warnings():
            warnings.showwarning = _warned
            try:
                return super().invoke(ctx)
            except XaicoreError as error:
                raise Refused(str(error)) from error


def _warned(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning without the place in our code where it was raised."""
    click.echo(f"{click.style('Warning:', fg='yellow', bold=True)} {message}", err=True)


def _of_plugins() -> dict[str, click.Command]:
    """Return the commands of plugins by name, without those that take a name of ours and what is no command."""
    found = [c for c in _plugin_commands() if isinstance(c, click.Command)]
    return {str(c.name): c for c in found if c.name not in COMMANDS}


def _plugin_commands() -> Sequence[object]:
    from xaicore.registry import commands

    return commands()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(xaicore.__version__, prog_name="xaicore")
def group() -> None:
    """Explain the predictions of Keras 3 models."""
