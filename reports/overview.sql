-- title: Headline figures
-- description: One row per run: analyzed frames, faces, usable faces, coverage (usable faces / faces), persons, the
-- first analyzed second and the end, and the mix: the mean probability of each expression over all usable faces.
-- plot: stack run happy surprise neutral sad fear disgust angry
SELECT
    span.run, span.frames, coalesce(seen.faces, 0) AS faces, coalesce(seen.usable_faces, 0) AS usable_faces,
    seen.usable_faces / seen.faces AS coverage, coalesce(seen.persons, 0) AS persons,
    coalesce(seen.usable_persons, 0) AS usable_persons, span.start_s, span.end_s,
    seen.angry, seen.disgust, seen.fear, seen.happy, seen.sad, seen.surprise, seen.neutral,
    seen.happy - greatest(seen.angry, seen.disgust, seen.fear, seen.sad) AS positivity
FROM (
    SELECT run, count(*) AS frames, min(time_s) AS start_s, max(time_s + coalesce(shown_s, 0)) AS end_s
    FROM frames GROUP BY run
) AS span
LEFT JOIN (
    SELECT
        run, count(*) AS faces, count(*) FILTER (WHERE usable) AS usable_faces,
        count(DISTINCT person) AS persons, count(DISTINCT person) FILTER (WHERE usable) AS usable_persons,
        avg(angry) FILTER (WHERE usable) AS angry, avg(disgust) FILTER (WHERE usable) AS disgust,
        avg(fear) FILTER (WHERE usable) AS fear, avg(happy) FILTER (WHERE usable) AS happy,
        avg(sad) FILTER (WHERE usable) AS sad, avg(surprise) FILTER (WHERE usable) AS surprise,
        avg(neutral) FILTER (WHERE usable) AS neutral
    FROM faces GROUP BY run
) AS seen USING (run)
ORDER BY span.run
