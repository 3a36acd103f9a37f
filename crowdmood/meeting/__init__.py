"""Link a video call: gallery tiles become segments of layout, persons and spotlights. Rows only, no pixels."""
