-- title: Mix per minute
-- description: One row per run and minute with usable faces: the mean probability of each expression over them, positivity
-- of that mix, faces, usable faces and their share (coverage), and persons.
-- parameter step: number = 60: length of a step in seconds
-- plot: stack start_s happy surprise neutral sad fear disgust angry
WITH seen AS (
    SELECT
        run, floor(time_s / $step) * $step AS start_s, count(*) AS faces,
        count(*) FILTER (WHERE usable) AS usable_faces, count(DISTINCT person) AS persons,
        avg(angry) FILTER (WHERE usable) AS angry, avg(disgust) FILTER (WHERE usable) AS disgust,
        avg(fear) FILTER (WHERE usable) AS fear, avg(happy) FILTER (WHERE usable) AS happy,
        avg(sad) FILTER (WHERE usable) AS sad, avg(surprise) FILTER (WHERE usable) AS surprise,
        avg(neutral) FILTER (WHERE usable) AS neutral
    FROM faces GROUP BY run, start_s
)
SELECT
    run, start_s, angry, disgust, fear, happy, sad, surprise, neutral,
    happy - greatest(angry, disgust, fear, sad) AS positivity, faces, usable_faces, usable_faces / faces AS coverage, persons
FROM seen WHERE usable_faces > 0 ORDER BY run, start_s
