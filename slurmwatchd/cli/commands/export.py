"""`slurmwatchd export`: the store's attempts as files for other programs."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, groupby
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

import click

from slurmwatchd.cli.export_writers import ExportFormat, ExportWriter, Record, writer_of
from slurmwatchd.cli.job_filters import filter_options, question_of
from slurmwatchd.cli.store_access import open_store, store_options
from slurmwatchd.cli.unread import note_unread, unread

PAGE = 500

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class _Read(Protocol[T_co]):
    """Reads attempts: `StoreReader.fetch` or `StoreReader.lines`."""

    def __call__(self, ids: Sequence[int], /, *, nodes: bool, usage: bool) -> Sequence[T_co]: ...


_UNDATED = "undated"


@click.command("export")
@click.option(
    "-f", "--format", "form", type=click.Choice([form.value for form in ExportFormat]), default="jsonl",
    show_default=True, help="The format; parquet needs pyarrow, the extra [parquet].",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("-"),
    help="A file, or with --partition-by a folder; -: standard output [default: -].",
)  # fmt: skip
@click.option("--partition-by", "partition", type=click.Choice(["day"]), help="One file per day (UTC) of ends.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option(
    "--nodes/--no-nodes", default=True, help="With or without each attempt's node names [default: with]."
)
@filter_options
@store_options
def command(
    form: str,
    output: Path,
    partition: str | None,
    config: Path | None,
    store: Path | None,
    *,
    overwrite: bool,
    nodes: bool,
    **options: Any,  # noqa: ANN401 - many kinds
) -> None:
    """Write attempts as JSON lines, CSV or Parquet.

    They come in the order of their ends; memory stays flat.

    Files get their names once they are complete. With --partition-by day, the command writes files such as
    FOLDER/day=2026-11-20/jobs.parquet, which DuckDB, Spark and pandas read as one table. If stderr is a terminal,
    it shows the progress. stderr also reports which part of the requested time was never read, and how many
    attempts expired from the store before they were read; if there is an archive, the command reads them there.

    Example: slurmwatchd export --format parquet --since 2026-11-01 --partition-by day -o /data/jobs

    Exit codes: 0 done; 1 the store cannot be read or the file not written; 2 the command line is wrong; 75 the
    store is busy, try again; 78 the configuration is wrong; 141 the reader of the output closed it.
    """
    question = question_of(options)
    to_stdout = str(output) == "-"
    if to_stdout and partition:
        raise click.UsageError("--partition-by needs a folder: --output", click.get_current_context())
    if to_stdout and form == ExportFormat.PARQUET and sys.stdout.isatty():
        raise click.UsageError("a terminal cannot show Parquet: --output", click.get_current_context())
    target = _Target(ExportFormat(form), output, overwrite=overwrite)
    with open_store(config, store) as reader, _file_errors(None if to_stdout else output):
        # Before anything is written: an export that cannot be made leaves nothing behind.
        if not partition and not to_stdout:
            target.check(output)
        with reader.snapshot():
            ids = reader.ids(question)
            reader.remember(ids)
        with _progress(len(ids)) as advance:
            pages = _Pages(ids, advance, nodes=nodes)
            if form == ExportFormat.JSONL and not partition:
                # As they are in the store: records need not be taken apart for that.
                lines = chain.from_iterable(pages.of(reader.lines))
                if to_stdout:
                    sys.stdout.buffer.writelines(lines)
                    sys.stdout.buffer.flush()
                else:
                    target.write_lines(output, lines)
            elif to_stdout:
                _to_stdout(ExportFormat(form), pages.of(reader.fetch))
            elif partition:
                target.write_days(pages.of(reader.fetch))
            else:
                target.write_file(output, pages.of(reader.fetch))
        note_unread(unread(reader, question), question, empty=not ids)
    if expired := len(ids) - pages.read:
        click.echo(f"slurmwatchd: {expired} attempts expired during the export and are not in it", err=True)
    if not to_stdout:
        click.echo(f"slurmwatchd: {pages.read} attempts written to {output}", err=True)


class _Target:
    """Files on a disk."""

    def __init__(self, form: ExportFormat, output: Path, *, overwrite: bool) -> None:
        self._form = form
        self._output = output
        self._overwrite = overwrite

    def check(self, path: Path) -> None:
        """Refuse to write over a file, unless that is asked for."""
        if path.is_dir():
            raise click.ClickException(f"{path}: is a folder; --partition-by day writes into it")
        if path.exists() and not self._overwrite:
            raise click.ClickException(f"{path}: already exists; --overwrite replaces it")

    def write_file(self, path: Path, pages: Iterator[Sequence[Record]]) -> None:
        """Write all records into one file."""
        with self._file(path) as writer:
            for page in pages:
                writer.write(page)

    def write_days(self, pages: Iterator[Sequence[Record]]) -> None:
        """Write a file for each day. Records come in the order of their ends, so one is open at a time."""
        for day, group in groupby((record for page in pages for record in page), _day):
            path = self._output / f"day={day}" / f"jobs.{self._form}"
            self.check(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._file(path) as writer:
                for batch in _batches(group):
                    writer.write(batch)

    def write_lines(self, path: Path, lines: Iterable[bytes]) -> None:
        """Write lines into one file."""
        with self._stream(path) as stream:
            stream.writelines(lines)

    @contextmanager
    def _file(self, path: Path) -> Iterator[ExportWriter]:
        """Give a writer into a file; see `_stream`."""
        with self._stream(path) as stream:
            writer = writer_of(self._form, stream)
            yield writer
            writer.close()

    @contextmanager
    def _stream(self, path: Path) -> Iterator[IO[bytes]]:
        """Open a file under another name; it gets its own once it is whole and on the disk."""
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with part.open("xb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
        except OSError as error:
            # The other name is ours.
            raise OSError(error.errno, error.strerror, str(path)) from error
        finally:
            part.unlink(missing_ok=True)


def _to_stdout(form: ExportFormat, pages: Iterator[Sequence[Record]]) -> None:
    writer = writer_of(form, sys.stdout.buffer)
    for page in pages:
        writer.write(page)
    writer.close()
    sys.stdout.buffer.flush()


class _Pages:
    """An answer, some hundred attempts at a time.

    Attributes:
        read: How many attempts were read: without those that had expired by then, and that no archive has.
    """

    def __init__(self, ids: Sequence[int], advance: Callable[[int], None], *, nodes: bool) -> None:
        self._ids = ids
        self._advance = advance
        self._nodes = nodes
        self.read = 0

    def of(self, read: _Read[T]) -> Iterator[Sequence[T]]:
        """Give pages of what a way to read makes of the attempts; once."""
        for begin in range(0, len(self._ids), PAGE):
            some = self._ids[begin : begin + PAGE]
            page = read(some, nodes=self._nodes, usage=True)
            self.read += len(page)
            yield page
            self._advance(len(some))


def _batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) == PAGE:
            yield batch
            batch = []
    if batch:
        yield batch


def _day(record: Record) -> str:
    end = record.get("end")
    return end[:10] if isinstance(end, str) else _UNDATED


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show how far it is, on a terminal; give what is called with how many more are done."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    # Not quick to import.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    console = Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR")))
    bars = (TextColumn("exporting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*bars, console=console, transient=True) as progress:
        task = progress.add_task("exporting", total=total)
        yield lambda count: progress.advance(task, count)


@contextmanager
def _file_errors(output: Path | None) -> Iterator[None]:
    """Make one line of what goes wrong with files, and name `output` where the error names none.

    What goes wrong with standard output, None, is left to those who know what Python still holds back for it.
    """
    try:
        yield
    except OSError as error:
        if output is None and error.filename is None:
            raise
        raise click.ClickException(f"{error.filename or output}: {error.strerror}") from error
