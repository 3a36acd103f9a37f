-- timeline: one row per second, from the first to the last analyzed frame.
-- From: faces (with persons), frames (finished).
WITH seconds AS (
    SELECT min(run) AS run, unnest(generate_series(min(floor(time_s))::INTEGER, max(floor(time_s))::INTEGER)) AS second
    FROM frames
),
looked AS (
    SELECT
        floor(time_s)::INTEGER AS second,
        count(*) AS frames,
        sum(faces)::INTEGER AS faces,
        sum(usable_faces)::INTEGER AS usable_faces
    FROM frames
    GROUP BY second
),
seen AS (
    SELECT
        floor(time_s)::INTEGER AS second,
        count(DISTINCT person) AS persons,
        avg(angry) FILTER (usable) AS angry,
        avg(disgust) FILTER (usable) AS disgust,
        avg(fear) FILTER (usable) AS fear,
        avg(happy) FILTER (usable) AS happy,
        avg(sad) FILTER (usable) AS sad,
        avg(surprise) FILTER (usable) AS surprise,
        avg(neutral) FILTER (usable) AS neutral,
        avg(valence) FILTER (usable) AS valence
    FROM faces
    GROUP BY second
)
SELECT
    run, second,
    coalesce(frames, 0) AS frames,
    coalesce(faces, 0) AS faces,
    coalesce(usable_faces, 0) AS usable_faces,
    coalesce(persons, 0) AS persons,
    angry, disgust, fear, happy, sad, surprise, neutral,
    happy - greatest(angry, disgust, fear, sad) AS positivity,
    valence,
    usable_faces / nullif(faces, 0) AS coverage
FROM seconds LEFT JOIN looked USING (second) LEFT JOIN seen USING (second)
ORDER BY second
