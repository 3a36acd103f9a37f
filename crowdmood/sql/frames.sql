-- frames: one row per analyzed frame, also without faces.
-- From: faces (with persons), scanned (the parts' frames, with cuts), recording (one row: duration_s, sample_fps).
WITH seen AS (
    SELECT
        frame,
        count(person) AS persons,
        avg(angry) FILTER (usable) AS angry,
        avg(disgust) FILTER (usable) AS disgust,
        avg(fear) FILTER (usable) AS fear,
        avg(happy) FILTER (usable) AS happy,
        avg(sad) FILTER (usable) AS sad,
        avg(surprise) FILTER (usable) AS surprise,
        avg(neutral) FILTER (usable) AS neutral
    FROM faces
    GROUP BY frame
),
gaps AS (
    SELECT *, lead(time_s) OVER (ORDER BY frame) - time_s AS gap FROM scanned
),
-- The last frame is shown as long as is usual, but not beyond the recording's end.
last AS (
    SELECT least(duration_s - (SELECT max(time_s) FROM scanned),
                 coalesce((SELECT median(gap) FROM gaps), 1 / sample_fps)) AS shown_s
    FROM recording
)
SELECT
    run, frame, pts, time_s,
    coalesce(gap, greatest((SELECT shown_s FROM last), 0)) AS shown_s,
    faces, usable_faces,
    coalesce(persons, 0) AS persons,
    cut,
    angry, disgust, fear, happy, sad, surprise, neutral,
    happy - greatest(angry, disgust, fear, sad) AS positivity
FROM gaps LEFT JOIN seen USING (frame)
ORDER BY frame
