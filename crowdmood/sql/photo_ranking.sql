-- Photos of a run, the best first. $by: happy, sad, surprise or positivity; $group: whether photos of several are scored over all faces.
-- Faces far smaller than the photo's largest are people in the background, and left out. Means are over the readable ones of the others.
-- For a group every one of the others counts, as much as it can be read: its value is lowered by a low score of the detector (turned
-- away, covered) and by blur, and is 0 where it is uncertain.
WITH seen AS (
    SELECT
        *,
        size_px >= 0.3 * max(size_px) OVER (PARTITION BY frame) AS near,
        CASE $by
            WHEN 'happy' THEN happy
            WHEN 'sad' THEN sad
            WHEN 'surprise' THEN surprise
            ELSE happy - greatest(angry, disgust, fear, sad)
        END AS value,
        least(score / 0.7, 1) * least(sharpness / 300, 1) AS clear
    FROM faces
),
counted AS (
    SELECT
        *, usable AND near AS read,
        CASE WHEN NOT usable THEN 0 WHEN value > 0 THEN value * clear ELSE value END AS counts
    FROM seen
),
scored AS (
    SELECT
        frame,
        count(*) AS faces,
        count(*) FILTER (NOT usable) AS uncertain,
        count(*) FILTER (NOT near) AS background,
        count(*) FILTER (near AND (NOT usable OR clear < 0.85)) AS unclear,
        count(*) FILTER (read) AS readable,
        count(*) FILTER (near) AS group_faces,
        avg(value) FILTER (read) AS mean,
        min(value) FILTER (read) AS lowest,
        avg(counts) FILTER (near) AS group_mean,
        min(counts) FILTER (near) AS group_worst,
        avg(happy) FILTER (read) AS happy,
        avg(sad) FILTER (read) AS sad,
        avg(surprise) FILTER (read) AS surprise,
        avg(happy) FILTER (read) - greatest(avg(angry) FILTER (read), avg(disgust) FILTER (read), avg(fear) FILTER (read),
                                            avg(sad) FILTER (read)) AS positivity
    FROM counted
    GROUP BY frame
),
judged AS (
    SELECT
        photos.frame, file, page, width, height, taken, digest,
        CASE WHEN $group THEN (group_mean + group_worst) / 2 WHEN $by = 'positivity' THEN positivity ELSE mean END AS score,
        CASE WHEN $group THEN group_mean ELSE mean END AS mean,
        CASE WHEN $group THEN group_worst ELSE lowest END AS worst,
        happy, sad, surprise, positivity, faces, uncertain, background, unclear
    FROM photos JOIN scored USING (frame)
    WHERE readable > 0 AND (NOT $group OR group_faces > 1)
)
SELECT row_number() OVER ordered AS place, *
FROM (
    -- The same picture twice counts once, and of an animation its best frame.
    SELECT * FROM judged
    QUALIFY row_number() OVER (PARTITION BY digest ORDER BY score DESC, frame) = 1
)
-- What is the same in whole per cent is the same: then less sadness is better, or less happiness where sadness is asked for.
WINDOW ordered AS (ORDER BY round(score, 2) DESC, CASE WHEN $by = 'sad' THEN happy ELSE sad END, score DESC, frame)
ORDER BY place
