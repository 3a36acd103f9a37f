-- persons: one row per person.
-- From: faces (with persons and tracks), frames (finished). A person has at most one face in a frame.
WITH seen AS (
    SELECT
        faces.run,
        person,
        min(faces.time_s) AS first_s,
        max(faces.time_s) AS last_s,
        sum(shown_s) AS seen_s,
        count(*) AS frames,
        count(*) FILTER (usable) AS usable_frames,
        count(DISTINCT track) AS tracks,
        median(size_px) AS size_px,
        avg(faces.angry) FILTER (usable) AS angry,
        avg(faces.disgust) FILTER (usable) AS disgust,
        avg(faces.fear) FILTER (usable) AS fear,
        avg(faces.happy) FILTER (usable) AS happy,
        avg(faces.sad) FILTER (usable) AS sad,
        avg(faces.surprise) FILTER (usable) AS surprise,
        avg(faces.neutral) FILTER (usable) AS neutral
    FROM faces JOIN frames USING (frame)
    WHERE person IS NOT NULL
    GROUP BY faces.run, person
),
largest AS (
    SELECT *, greatest(angry, disgust, fear, happy, sad, surprise, neutral) AS most FROM seen
)
SELECT
    run, person, first_s, last_s, seen_s, frames, usable_frames, tracks, size_px,
    angry, disgust, fear, happy, sad, surprise, neutral,
    CASE most
        WHEN angry THEN 'angry'
        WHEN disgust THEN 'disgust'
        WHEN fear THEN 'fear'
        WHEN happy THEN 'happy'
        WHEN sad THEN 'sad'
        WHEN surprise THEN 'surprise'
        WHEN neutral THEN 'neutral'
        ELSE 'uncertain'
    END AS expression,
    happy - greatest(angry, disgust, fear, sad) AS positivity
FROM largest
ORDER BY person
