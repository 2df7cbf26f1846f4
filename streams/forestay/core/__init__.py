"""The functional core: features, state, triggers, policy and codecs.

Nothing here imports Faust, a Kafka client or Triton, reads the wall clock, draws from a global random
source or looks at the environment (design D1, D4). `tests/unit/test_core_purity.py` holds it to that.
"""
