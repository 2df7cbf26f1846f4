"""Findings in words, for logs and reports."""

from forestay.core.watch.findings import Finding

#: What each watch compares.
MEANING = {
    "psi": "the users scored are others than those of the reference",
    "missing": "the field is missing more often than usual",
    "repeated": "the field repeats itself more often than usual",
    "returns": "more or fewer users order within a day than the model expects",
}


def told(finding: Finding) -> str:
    """Returns a finding as one line."""
    if finding.value is None or finding.limit is None:
        return f"{finding.name}: too little to tell ({finding.rows:,})"
    sign = "not above" if not finding.alarm else "above"
    value, limit = finding.value, finding.limit
    if finding.watch == "returns":
        return f"{finding.name}: {value:+.1f} standard deviations ({finding.rows:,} users), {sign} {limit:.1f}"
    if finding.usual is not None:
        return f"{finding.name}: {value:.1%} of {finding.rows:,} events, usually {finding.usual:.1%}"
    return f"{finding.name}: {value:.3f}, {sign} {limit:.3f} ({finding.rows:,} users)"
