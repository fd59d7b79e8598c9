"""`python -m tests.dev`: checks and pages that are made from the code.

docs --check   fail when a file that is made from the code is stale: pages under docs/, the schema of the rehearsal's provider
docs --write   write them
clip           draw and encode the clip of smoke jobs, and tell its digest
codes          list error codes that are raised but not in `ERROR_CODES`, and entries that nothing raises
"""

import hashlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    match arguments:
        case ["docs", "--check" | "--write" as mode]:
            from tests.dev.pages import stale_pages, write_pages

            pages = stale_pages(ROOT)
            if mode == "--write":
                write_pages(ROOT, pages)
            for page in pages:
                print(f"{'wrote' if mode == '--write' else 'stale'}: {page.relative_to(ROOT)}")
            return 1 if pages and mode == "--check" else 0
        case ["clip"]:
            from lifecycle.domain.golden_clip import CLIP
            from tests.dev.clip import write_clip

            write_clip(CLIP)
            print(f"{hashlib.sha256(CLIP.read_bytes()).hexdigest()}  {CLIP.relative_to(ROOT)}")
            return 0
        case ["codes"]:
            from tests.dev.codes import compare

            comparison = compare(ROOT)
            print(comparison.render(ROOT))
            return 0 if comparison.agrees else 1
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
