"""Where `Beside` used to stand; import it from watchkeeper.limits."""

from watchkeeper.limits import Beside, Judgement

__all__ = ["Beside", "Judgement"]
