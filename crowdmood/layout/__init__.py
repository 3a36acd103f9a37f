"""The layout of a video call, told from pixels: gallery tiles, film strips, the stage, a shared screen, and what marks each.

    edges -> grids, strips -> finding: tiles of a frame          marks: names, looks and speaker frames as fingerprints
"""
