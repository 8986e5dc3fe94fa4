"""What the tests of the metadata room share: pictures with any metadata in them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
