"""The rules of verdicts: does our number agree, and is a claim seen in our runs?"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import pandas as pd

from tutorials_lib.runs.articles import ARTICLES, CLAIMS, Claim
from tutorials_lib.runs.estimates import (
    Estimate,
    Records,
    bootstrap_gain,
    describe_metric,
    name_metric,
    paired,
    ratio,
    show_table,
    tabulate,
)
from tutorials_lib.runs.profiles import is_comparable
from tutorials_lib.runs.records import Record, read_arrays
from tutorials_lib.support.statistics import Interval, mean_interval

VERDICTS = ("agrees", "differs", "not judged", "not run")
CLAIM_VERDICTS = ("seen", "smaller", "not seen", "undecided", "opposite", "not run")
# Fewer runs, or pairs of them, get no verdict: if two happen to be alike, their
# interval is far too narrow.
FEWEST = 3


@dataclasses.dataclass(frozen=True)
class Number:
    """A published number of a variant, our records of it by seed, and their mean."""

    chapter: str
    variant: str
    metric: str
    published: float
    records: tuple[Record, ...] = ()
    ours: Estimate | None = None

    @property
    def tolerance(self) -> float | None:
        """How far apart the two may lie; the article's is one more run, or a mean.

        None for seconds, and if we have too few seeds for a verdict.
        """
        interval = self.ours.interval if self.ours else None
        if not interval or interval.n < FEWEST or self.metric.startswith("seconds"):
            return None
        mean = "runs" in ARTICLES[self.chapter]
        return (interval if mean else interval.predict_one_more()).half_width

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`."""
        if self.ours is None:
            return "not run"
        if self.tolerance is None:
            return "not judged"
        near = abs(self.ours.mean - self.published) <= self.tolerance
        return "agrees" if near else "differs"

    @property
    def title(self) -> str:
        """The metric's name with its unit."""
        return name_metric(self.metric).removesuffix(", s")

    def write(self, value: float | None, sign: str = "") -> str:
        """Writes a number of this metric; None as a dash."""
        written = Estimate(mean_interval([0]), *describe_metric(self.metric))
        return "-" if value is None else written.write(value, sign)


def list_numbers(records: Mapping[str, Records]) -> list[Number]:
    """Lists all published numbers, in the order of the chapters.

    Records of profile `full` count, or those of `laptop` if that is the article's
    protocol too and has more of them.
    """
    numbers = []
    for chapter, article in ARTICLES.items():
        frame = tabulate(records[chapter])
        full, laptop = (frame[frame["profile"] == x] for x in ("full", "laptop"))
        for variant, published in article["published"].items():
            for metric, number in zip(article["metrics"], published, strict=True):
                if number is None:
                    continue
                runs = find_runs(full, chapter, variant, metric)
                if is_comparable(chapter, "laptop"):
                    others = find_runs(laptop, chapter, variant, metric)
                    runs = max(runs, others, key=len)
                ours = None
                if len(runs):
                    scores = mean_interval(runs[metric])
                    ours = Estimate(scores, *describe_metric(metric))
                found = tuple(runs["record"])
                numbers.append(Number(chapter, variant, metric, number, found, ours))
    return numbers


def find_runs(
    frame: pd.DataFrame, chapter: str, variant: str, metric: str
) -> pd.DataFrame:
    """Finds our runs that correspond to an article's number, by seed.

    There are none if some of the runs behind a mean are missing or lack the metric.
    """
    if metric not in frame:
        return frame[:0]
    parts = []
    ours = ARTICLES[chapter].get("ours", {})
    for name, seeds in ours.get(variant, [(variant, None)]):
        part = frame[(frame["variant"] == name) & frame[metric].notna()]
        if seeds is not None:
            part = part[part["seed"].isin(seeds)]
            if len(part) < len(seeds):
                return frame[:0]
        parts.append(part)
    return pd.concat(parts).sort_values("seed")


@dataclasses.dataclass(frozen=True)
class Judged:
    """A claim, our effect at a profile, and one of `CLAIM_VERDICTS`."""

    claim: Claim
    ours: Estimate | None
    profile: str | None
    verdict: str

    @property
    def article(self) -> str:
        """The article's effect, written as ours is."""
        if self.claim.kind == "ratio":
            return f"{self.claim.effect:.2f} times"
        return f"{100 * self.claim.effect:+.2f} points"

    @property
    def protocol(self) -> str:
        """What our effect rests on: seeds or test images, and the profile."""
        return f"{self.ours:n}, {self.profile}" if self.ours else ""

    @property
    def effect(self) -> str:
        """Our effect with its interval, without what it rests on."""
        return f"{self.ours:short} {self.ours.unit}" if self.ours else ""


def judge_effect(claim: Claim, ours: Interval) -> str:
    """Judges a claim by our interval.

    *seen* if it lies above no effect and reaches the article's; *smaller* if it lies
    above no effect and below the article's; *not seen* if it contains no effect but not
    the article's; *undecided* if it contains both or has fewer than three pairs;
    *opposite* if it lies below no effect. For a claim of no difference: *seen* if it
    lies within the margin, *opposite* if beyond it, else *undecided*. No effect is 0
    for a difference and 1 for a ratio.
    """
    if ours.n < FEWEST:
        return "undecided"
    if (margin := claim.margin) is not None:
        if -margin <= ours.low and ours.high <= margin:
            return "seen"
        beyond = ours.low > margin or ours.high < -margin
        return "opposite" if beyond else "undecided"
    none = 1 if claim.kind == "ratio" else 0
    if ours.high < none:
        return "opposite"
    reaches = ours.high >= claim.effect
    if ours.low > none:
        return "seen" if reaches else "smaller"
    return "undecided" if reaches else "not seen"


def judge_claims(
    records: Mapping[str, Records], claims: Iterable[Claim] = CLAIMS
) -> list[Judged]:
    """Judges these chapters' claims by our runs at `full`, or else at `laptop`."""
    frames = {chapter: tabulate(group) for chapter, group in records.items()}
    judged = []
    for claim in (each for each in claims if each.chapter in frames):
        frame = frames[claim.chapter]
        ours, profile = find_effect(frame, partial(measure_effect, claim=claim))
        verdict = judge_effect(claim, ours.interval) if ours else "not run"
        judged.append(Judged(claim, ours, profile, verdict))
    return judged


def find_effect(
    frame: pd.DataFrame, measure: Callable[[pd.DataFrame], Estimate | None]
) -> tuple[Estimate | None, str | None]:
    """Measures an effect at profile `full`, or at `laptop` if there are no full runs.

    If `laptop` is the article's protocol too, the profile with more runs counts.

    Returns the effect and its profile; None and None if there are no runs.
    """
    full, laptop = (measure(frame[frame["profile"] == x]) for x in ("full", "laptop"))
    if laptop is not None:
        both = is_comparable(frame["chapter"].iloc[0], "laptop")
        if full is None or (both and laptop.interval.n > full.interval.n):
            return laptop, "laptop"
    return full, None if full is None else "full"


def measure_effect(frame: pd.DataFrame, claim: Claim) -> Estimate | None:
    """Measures a claim's effect in runs of one profile; None where they are missing."""
    if claim.kind == "ensemble":
        return _measure_ensemble(frame, claim)
    pairs = [(claim.variant, claim.baseline)]
    if claim.laptop and set(frame["profile"]) == {"laptop"}:
        pairs = [claim.laptop]
    # If the full profile has the article's schedule too, beside a shorter one.
    ours = ARTICLES[claim.chapter].get("ours", {})
    if set(pairs[0]) <= set(ours):
        pairs.insert(0, tuple(ours[name][0][0] for name in pairs[0]))
    for pair in pairs:
        if claim.kind == "ratio":
            found = ratio(frame, claim.metric, *pair)
        else:
            found = paired(frame, claim.metric, *pair, claim.baseline_metric)
        if found is not None:
            return found
    return None


def _measure_ensemble(frame, claim):
    """Bootstraps over test images: the run's arrays say which were right."""
    runs = frame[frame["variant"].str.startswith(f"{claim.variant} of")]
    if runs.empty:
        return None
    record = max(runs["record"], key=lambda each: int(each["variant"].split()[-1]))
    arrays = read_arrays(record)
    return bootstrap_gain(arrays["right"], arrays["members_right"])


def show_claims(records: Records) -> None:
    """Shows the claims of a chapter's article: its effect, ours, and the verdict."""
    frame = tabulate(records)
    groups = {chapter: frame for chapter in frame["chapter"].unique()}
    rows = [
        [each.claim.text, each.article, each.effect, each.protocol, each.verdict]
        for each in judge_claims(groups)
        if each.ours
    ]
    show_table(["claim", "article", "ours ± 95%", "from", "verdict"], rows)
