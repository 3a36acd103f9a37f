-- title: Layouts
-- description: The stretches of constant layout of a meeting: kind of layout, gallery tiles, those with a camera on, whether a screen is
-- shared, persons in the tiles, and the mean number of faces in the picture.
-- plot: bar start_s cameras
WITH segments AS (
    SELECT run, segment, any_value(layout) AS layout, min(start_s) AS start_s, max(end_s) AS end_s,
        count(DISTINCT tile) FILTER (role <> 'share') AS tiles, count(DISTINCT tile) FILTER (live AND role <> 'share') AS cameras,
        coalesce(bool_or(role = 'share'), false) AS shared, count(DISTINCT person) AS persons
    FROM tiles GROUP BY run, segment
)
SELECT run, segment, layout, start_s, end_s, tiles, cameras, shared, persons, (
    SELECT sum(faces * shown_s) / nullif(sum(shown_s), 0) FROM frames
    WHERE frames.run = segments.run AND time_s >= start_s AND time_s < end_s) AS faces
FROM segments ORDER BY run, segment
