-- title: Runs compared
-- description: One row per run, the most positive first: length, persons, faces, coverage, the mix over usable faces and its
-- positivity. Runs of other models or options are not alike: the columns models and options say which they are.
-- plot: stack recording happy surprise neutral sad fear disgust angry
SELECT
    run, recording, started, duration_s, seen.persons, seen.faces, seen.coverage, seen.angry, seen.disgust, seen.fear,
    seen.happy, seen.sad, seen.surprise, seen.neutral,
    seen.happy - greatest(seen.angry, seen.disgust, seen.fear, seen.sad) AS positivity, models, options
FROM runs JOIN (
    SELECT
        run, count(DISTINCT person) AS persons, count(*) AS faces, avg(usable::INTEGER) AS coverage,
        avg(angry) FILTER (WHERE usable) AS angry, avg(disgust) FILTER (WHERE usable) AS disgust,
        avg(fear) FILTER (WHERE usable) AS fear, avg(happy) FILTER (WHERE usable) AS happy,
        avg(sad) FILTER (WHERE usable) AS sad, avg(surprise) FILTER (WHERE usable) AS surprise,
        avg(neutral) FILTER (WHERE usable) AS neutral
    FROM faces GROUP BY run
) AS seen USING (run)
ORDER BY positivity DESC NULLS LAST, run
