-- title: Persons by presence and positivity
-- description: One row per person, those seen longest first: presence (share of the analyzed time in which the person's face
-- is in the picture), share of frames in which it could be read, what was shown most, and positivity. A person number lives
-- within one run and names nobody.
-- plot: bar person positivity
WITH span AS (
    SELECT run, max(time_s + coalesce(shown_s, 0)) - min(time_s) AS length_s FROM frames GROUP BY run
)
SELECT
    run, person, seen_s, least(1.0, seen_s / nullif(length_s, 0)) AS presence, usable_frames / frames AS readable,
    expression, positivity, happy, sad, size_px, first_s, last_s, tracks
FROM persons JOIN span USING (run) ORDER BY run, seen_s DESC, person
