"""The rules of verdicts: does our number agree, and is a claim seen in our runs?"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import pandas as pd

from tutorials_lib.results import estimates
from tutorials_lib.results.articles import (
    ARTICLES,
    CLAIMS,
    Claim,
    find_ours,
    list_published,
)
from tutorials_lib.results.estimates import Estimate, Records, tabulate
from tutorials_lib.runs.profiles import is_comparable
from tutorials_lib.runs.records import read_arrays
from tutorials_lib.support.page import say, show_table

VERDICTS = ("agrees", "differs", "not judged", "not run")
CLAIM_VERDICTS = ("seen", "smaller", "not seen", "undecided", "opposite", "not run")
# Fewer runs, or pairs of them, get no verdict: if two happen to be alike, their
# interval is far too narrow.
FEWEST = 3


@dataclasses.dataclass(frozen=True)
class Number:
    """A published number of a variant, our runs of it, their mean, and the verdict.

    The tolerance says how far apart the two may lie; None where they are not judged.
    """

    chapter: str
    variant: str
    metric: str
    published: float
    runs: pd.DataFrame
    ours: Estimate | None
    verdict: str
    tolerance: float | None

    def write(self, value: float | None, sign: str = "") -> str:
        """Writes a number of this metric; None as a dash."""
        written = Estimate(0, None, 1, **estimates.describe_metric(self.metric))
        return "-" if value is None else written.write(value, sign)


def list_numbers(records: Mapping[str, Records]) -> list[Number]:
    """Lists the published numbers of these chapters, in the order of the book.

    Records of profile `full` count, or those of `laptop` if that is the article's
    protocol too and has more of them.
    """
    numbers = []
    for chapter in filter(records.__contains__, ARTICLES):
        frame = tabulate(records[chapter])
        profiles = [x for x in ("full", "laptop") if is_comparable(chapter, x)]
        groups = [frame[frame["profile"] == profile] for profile in profiles]
        for (variant, metric), number in list_published(chapter).items():
            row = chapter, variant, metric
            runs = max((find_runs(group, *row) for group in groups), key=len)
            ours = None if runs.empty else estimates.average(runs[metric], metric)
            judged = judge_number(chapter, metric, number, ours)
            numbers.append(Number(*row, number, runs, ours, *judged))
    return numbers


def show_agreement(records: Records, *metrics: str) -> None:
    """Says how many of the article's numbers in these metrics agree with ours."""
    frame = tabulate(records)
    numbers = list_numbers(dict.fromkeys(frame["chapter"], frame))
    judged = [number.verdict for number in numbers if number.metric in metrics]
    say(
        "Of the article's {numbers} numbers in the two tables, {agree} lie in the 95% "
        "interval for one more run of ours.",
        numbers=len(judged),
        agree=judged.count("agrees") or None,
    )


def find_runs(
    frame: pd.DataFrame, chapter: str, variant: str, metric: str
) -> pd.DataFrame:
    """Finds our runs that correspond to an article's number, by seed.

    There are none if some of the runs behind a mean are missing or lack the metric.
    """
    variants, seeds = find_ours(chapter, variant)
    runs = frame[frame["variant"].isin(variants)]
    if seeds is not None:
        runs = runs[runs["seed"].isin(seeds)]
    scored = runs[runs[metric].notna()] if metric in runs else runs[:0]
    return scored if seeds is None or len(scored) == len(seeds) else scored[:0]


def judge_number(
    chapter: str, metric: str, published: float, ours: Estimate | None
) -> tuple[str, float | None]:
    """Returns one of `VERDICTS` on a published number, and its tolerance."""
    if ours is None:
        return "not run", None
    if ours.n < FEWEST or metric.startswith("seconds"):
        return "not judged", None
    # The article's is one more run, or the mean of many.
    expected = ours if "runs" in ARTICLES[chapter] else ours.predict_one_more()
    return "agrees" if expected.holds(published) else "differs", expected.half_width


@dataclasses.dataclass(frozen=True)
class Judged:
    """A claim, our effect, one of `CLAIM_VERDICTS`, and how they are written.

    `article` and `effect` are the two effects, and `protocol` says what ours rests on:
    seeds or test images, and the profile. The last two are empty without runs.
    """

    claim: Claim
    ours: Estimate | None
    verdict: str
    article: str
    effect: str = ""
    protocol: str = ""


def judge_claims(
    records: Mapping[str, Records], claims: Iterable[Claim] = CLAIMS
) -> list[Judged]:
    """Judges these chapters' claims by our runs at `full`, or else at `laptop`."""
    judged = []
    for claim in (each for each in claims if each.chapter in records):
        frame = tabulate(records[claim.chapter])
        ours, profile = find_effect(frame, partial(measure_effect, claim=claim))
        article = f"{100 * claim.effect:+.2f} points"
        if claim.kind == "ratio":
            article = f"{claim.effect:.2f} times"
        said = [f"{ours:short} {ours.unit}", f"{ours:n}, {profile}"] if ours else []
        judged.append(Judged(claim, ours, judge_effect(claim, ours), article, *said))
    return judged


def judge_effect(claim: Claim, ours: Estimate | None) -> str:
    """Judges a claim by our interval.

    *seen* if it lies above no effect and reaches the article's; *smaller* if it lies
    above no effect and below the article's; *not seen* if it contains no effect but not
    the article's; *undecided* if it contains both or has fewer than three pairs;
    *opposite* if it lies below no effect. For a claim of no difference: *seen* if it
    lies within the margin, *opposite* if beyond it, else *undecided*. No effect is 0
    for a difference and 1 for a ratio.
    """
    if ours is None:
        return "not run"
    if ours.n < FEWEST:
        return "undecided"
    if claim.margin is not None:
        if max(-ours.low, ours.high) <= claim.margin:
            return "seen"
        beyond = max(ours.low, -ours.high) > claim.margin
        return "opposite" if beyond else "undecided"
    none = 1 if claim.kind == "ratio" else 0
    if ours.high < none:
        return "opposite"
    reaches = ours.high >= claim.effect
    if ours.low > none:
        return "seen" if reaches else "smaller"
    return "undecided" if reaches else "not seen"


def find_effect(
    frame: pd.DataFrame, measure: Callable[[pd.DataFrame], Estimate | None]
) -> tuple[Estimate | None, str | None]:
    """Measures an effect at profile `full`, or at `laptop` if there are no full runs.

    If `laptop` is the article's protocol too, the profile with more runs counts.

    Returns the effect and its profile; None and None if there are no runs.
    """
    pairs = ((x, measure(frame[frame["profile"] == x])) for x in ("full", "laptop"))
    found = {profile: ours for profile, ours in pairs if ours}

    def rank(profile):
        return is_comparable(frame["chapter"].iloc[0], profile), found[profile].n

    profile = max(found, key=rank, default=None)
    return found[profile] if profile else None, profile


def measure_effect(frame: pd.DataFrame, claim: Claim) -> Estimate | None:
    """Measures a claim's effect in runs of one profile; None where they are missing."""
    if claim.kind == "ensemble":
        # The run's arrays say which test images were right.
        runs = frame[frame["variant"].str.startswith(f"{claim.variant} of")]
        arrays = [read_arrays(record) for record in runs["record"][:1]]
        return estimates.bootstrap_gain(**arrays[0]) if arrays else None
    pair = claim.variant, claim.baseline
    if claim.laptop and set(frame["profile"]) == {"laptop"}:
        pair = claim.laptop
    # The full profile may have the article's schedule too, beside a shorter one.
    for suffix in (ARTICLES[claim.chapter].get("suffix", ""), ""):
        names = pair[0] + suffix, pair[1] + suffix
        found = estimates.paired(frame, claim.metric, *names, claim.baseline_metric)
        if claim.kind == "ratio":
            found = estimates.ratio(frame, claim.metric, *names)
        if found:
            return found
    return None


def show_claims(records: Records) -> None:
    """Shows the claims of a chapter's article: its effect, ours, and the verdict."""
    frame = tabulate(records)
    rows = [
        [each.claim.text, each.article, each.effect, each.protocol, each.verdict]
        for each in judge_claims(dict.fromkeys(frame["chapter"], frame))
        if each.ours
    ]
    headers = ["claim", "article", "ours ± 95%", "from", "verdict"]
    show_table(headers, rows)


def list_claims(judged: Iterable[Judged]) -> list[str]:
    """Says of each claim with runs what ours is, as the items of a list."""
    return [
        f"- *{each.claim.text}* Ours: {each.ours}, **{each.verdict}**. "
        f"The article's: {100 * each.claim.effect:+.2f}."
        for each in judged
        if each.ours
    ]
