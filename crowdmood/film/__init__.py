"""Films made of a recording and a run: annotated, or with all faces covered.

    render(find_run(results, "concert.mp4"), Path("concert.annotated.mp4"), Look(anonymize="pixelate"))
"""

from crowdmood.film.painting import Look
from crowdmood.film.rendering import Rendered, render

__all__ = ["Look", "Rendered", "render"]
