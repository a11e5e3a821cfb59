"""The rule of verdicts: may a published number and ours differ by chance alone?"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

from tutorials_lib.runs.articles import ARTICLES
from tutorials_lib.runs.records import Record
from tutorials_lib.runs.tables import group_records, read_metric
from tutorials_lib.support.data import SPECIFICATIONS
from tutorials_lib.support.statistics import Interval, binomial_error, mean_interval

VERDICTS = ("reproduced", "differs", "not judged", "not run")
# Of a normal distribution, 95% lie within so many standard errors.
WIDE = 1.96


@dataclasses.dataclass(frozen=True)
class Row:
    """A published number and what stands beside it.

    Attributes:
        chapter: Name of the chapter.
        variant: What the number is of, as `articles.ARTICLES` names it.
        metric: Name of the metric.
        published: The article's number.
        records: Records of our full runs of it, by seed.
    """

    chapter: str
    variant: str
    metric: str
    published: float
    records: tuple[Record, ...]

    @property
    def values(self) -> list[float]:
        """Our numbers, one for each record."""
        return read_metric(self.records, self.metric)

    @property
    def interval(self) -> Interval | None:
        """Mean and interval of our numbers; None where there are none."""
        return mean_interval(self.values) if self.records else None

    @property
    def difference(self) -> float:
        """Our mean minus the article's number."""
        return mean_interval(self.values).mean - self.published

    @property
    def tolerance(self) -> float | None:
        """How far the two may lie apart, see `find_tolerance`."""
        if self.metric.startswith("seconds"):
            return None
        n = None
        if self.metric.endswith("accuracy"):
            specification = SPECIFICATIONS[ARTICLES[self.chapter]["dataset"]]
            part = self.metric.startswith("train")
            n = specification.train_images if part else specification.test_images
        return find_tolerance(self.published, mean_interval(self.values), n)

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`."""
        if not self.records:
            return "not run"
        if self.tolerance is None:
            return "not judged"
        return "reproduced" if abs(self.difference) <= self.tolerance else "differs"

    @property
    def unit(self) -> str:
        """What is to be said of the unit beside the metric's name."""
        return ", %" if self.metric.endswith("accuracy") else ""

    def format(self, value: float | None, sign: str = "") -> str:
        """Writes a number of this metric: percent, loss or seconds; None as a dash."""
        if value is None:
            return "-"
        if self.unit:
            return f"{100 * value:{sign}.2f}"
        digits = 1 if self.metric.startswith("seconds") else 4
        return f"{value:{sign}.{digits}f}"


def find_tolerance(
    published: float, ours: Interval, n: int | None = None
) -> float | None:
    """Says how far apart the article's number and the mean of ours may lie.

    An accuracy is a share of n images: half our 95% interval and 1.96 of the published
    number's binomial standard errors are combined, as the root of the sum of their
    squares. With one seed our own binomial error takes the interval's place. Where our
    interval is more than twice as wide as the article's error, it would let nearly
    everything pass, and there is no verdict. A loss has no such error: the article's is
    one more run, see `Interval.predict_one_more`; that takes three seeds.

    Args:
        published: The article's number.
        ours: `Interval` of ours.
        n: Number of images that an accuracy is a share of; None for a loss.

    Returns:
        A number; None where our seeds are too few for a verdict.
    """
    if n is None:
        return ours.predict_one_more().half_width if ours.n >= 3 else None
    half = ours.half_width
    theirs = WIDE * binomial_error(published, n)
    if half is None:
        half = WIDE * binomial_error(ours.mean, n)
    elif half > 2 * theirs:
        return None
    return math.hypot(half, theirs)


def list_rows(records: Mapping[str, Sequence[Record]]) -> list[Row]:
    """Lists all published numbers, in the order of the chapters.

    Args:
        records: Dict of chapter to its records of full runs.

    Returns:
        A list of `Row`.
    """
    return [
        Row(chapter, variant, metric, published, tuple(ours))
        for chapter, article in ARTICLES.items()
        for variant, numbers in article["published"].items()
        for metric, published in zip(article["metrics"], numbers, strict=True)
        for ours in [find_ours(chapter, variant, metric, records[chapter])]
        if published is not None
    ]


def find_ours(
    chapter: str, variant: str, metric: str, records: Iterable[Record]
) -> list[Record]:
    """Finds our runs of what an article's number is of.

    Args:
        chapter: Name of a chapter.
        variant: What the number is of, as `ARTICLES` names it.
        metric: Name of the metric; records without it are left out.
        records: The chapter's records.

    Returns:
        A list of records, in order of seeds; empty where they are not all there.

    Raises:
        ValueError: two records are of the same variant and seed.
    """
    groups = group_records(records)
    found = []
    for name, seeds in (
        ARTICLES[chapter].get("ours", {}).get(variant, [(variant, None)])
    ):
        part = [
            record
            for record in groups.get(name, [])
            if (seeds is None or record["seed"] in seeds)
            # Seconds are no metric, but every run has them.
            and (metric in record["metrics"] or metric.startswith("seconds"))
        ]
        if seeds is not None and len(part) < len(seeds):
            return []
        found += part
    return sorted(found, key=lambda record: record["seed"])


def count_verdicts(rows: Iterable[Row]) -> dict[str, int]:
    """Returns how many rows have each of `VERDICTS`."""
    found = [row.verdict for row in rows]
    return {verdict: found.count(verdict) for verdict in VERDICTS}
