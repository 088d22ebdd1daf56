"""How many examples: ``pytest tests/fuzz --hypothesis-profile=thorough`` tries 2,000."""

from hypothesis import HealthCheck, Phase, settings

_COMMON = dict(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)
settings.register_profile('quick', max_examples=25, derandomize=True, **_COMMON)
settings.register_profile('thorough', max_examples=400, print_blob=True, **_COMMON)
settings.load_profile('quick')
