"""The web application that `crowdmood serve` runs: recordings, photos, the camera, SQL, and the same operations for programs."""
