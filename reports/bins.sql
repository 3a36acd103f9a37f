-- title: The course of a run
-- description: Each run cut into at most 480 equal steps: faces in the picture (mean and largest), usable faces, persons,
-- the mix over usable faces (NULL where there are none) and positivity of that mix. A frame counts for as long as it was
-- shown, so slides and films of uneven frame rate come out right.
-- plot: stack start_s happy surprise neutral sad fear disgust angry
WITH span AS (
    SELECT
        run, max(time_s + coalesce(shown_s, 0)) AS end_s,
        (max(time_s) - min(time_s)) / nullif(count(*) - 1, 0) AS gap_s
    FROM frames GROUP BY run
),
step AS (
    SELECT run, end_s, coalesce((
        SELECT min(s) FROM (SELECT unnest([0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600])::DOUBLE AS s)
        WHERE s >= end_s / 480 AND s >= 0.98 * coalesce(gap_s, 0)), greatest(gap_s, end_s / 480)) AS step_s
    FROM span
),
shown AS (
    SELECT frames.*, step_s, step.end_s AS run_end_s, time_s + greatest(coalesce(shown_s, 0), 0.001) AS until_s
    FROM frames JOIN step USING (run)
),
cut AS (
    SELECT *, unnest(range(floor(time_s / step_s)::BIGINT, ceil(until_s / step_s)::BIGINT)) AS bin FROM shown
),
parts AS (
    SELECT *, least(until_s, (bin + 1) * step_s) - greatest(time_s, bin * step_s) AS part_s
    FROM cut WHERE least(until_s, (bin + 1) * step_s) - greatest(time_s, bin * step_s) > 1e-6
),
mixed AS (
    SELECT
        run, bin, any_value(step_s) AS step_s, any_value(run_end_s) AS run_end_s, count(*) AS frames,
        sum(faces * part_s) / sum(part_s) AS faces, max(faces) AS most_faces,
        sum(usable_faces * part_s) / sum(part_s) AS usable_faces,
        sum(angry * usable_faces * part_s) / nullif(sum(usable_faces * part_s), 0) AS angry,
        sum(disgust * usable_faces * part_s) / nullif(sum(usable_faces * part_s), 0) AS disgust,
        sum(fear * usable_faces * part_s) / nullif(sum(usable_faces * part_s), 0) AS fear,
        sum(happy * usable_faces * part_s) / nullif(sum(usable_faces * part_s), 0) AS happy,
        sum(sad * usable_faces * part_s) / nullif(sum(usable_faces * part_s), 0) AS sad,
        sum(surprise * usable_faces * part_s) / nullif(sum(usable_faces * part_s), 0) AS surprise,
        sum(neutral * usable_faces * part_s) / nullif(sum(usable_faces * part_s), 0) AS neutral
    FROM parts GROUP BY run, bin
),
people AS (
    SELECT parts.run, bin, count(DISTINCT person) AS persons
    FROM parts JOIN faces USING (run, frame) GROUP BY parts.run, bin
)
SELECT
    run, bin * step_s AS start_s, least((bin + 1) * step_s, run_end_s) AS end_s, frames, faces, most_faces,
    usable_faces, coalesce(persons, 0) AS persons, angry, disgust, fear, happy, sad, surprise, neutral,
    happy - greatest(angry, disgust, fear, sad) AS positivity
FROM mixed LEFT JOIN people USING (run, bin)
ORDER BY run, start_s
