"""What all tests share: hypothesis profiles. `ci`, the default, gives the same examples every time.

The core is the plain one, which coverage can see, unless FORESTAY_CORE=compiled asks for the other form; processes
that tests start take after their parent.
"""

import os
import sys

from hypothesis import HealthCheck, settings

# The form is chosen when `forestay` is imported, and nothing has imported it yet.
assert "forestay" not in sys.modules
os.environ.setdefault("FORESTAY_CORE", "plain")

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=80, suppress_health_check=_SLOW)
settings.register_profile("long", deadline=None, max_examples=2_000, suppress_health_check=_SLOW, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
