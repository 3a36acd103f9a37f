-- Cues: what the faces showed in spans of $every_s seconds; neighbours that say the same are one cue. A cue lasts from its first
-- frame to the first of the next one. Means are over usable faces; the numbers of faces are means over frames, at least 1.
WITH spans AS (
    SELECT
        min(time_s) AS start_s,
        max(time_s + shown_s) AS end_s,
        greatest(round(avg(faces)), 1)::INTEGER AS faces,
        greatest(round(avg(usable_faces)), 1)::INTEGER AS read,
        max(faces) > 0 AS seen,
        max(usable_faces) > 0 AS readable,
        [fsum(angry * usable_faces), fsum(disgust * usable_faces), fsum(fear * usable_faces), fsum(happy * usable_faces),
         fsum(sad * usable_faces), fsum(surprise * usable_faces), fsum(neutral * usable_faces)] AS mix,
        sum(usable_faces) AS n
    FROM frames
    GROUP BY floor(time_s / $every_s)
),
said AS (
    SELECT
        start_s, end_s,
        CASE
            WHEN NOT seen THEN 'no faces'
            WHEN NOT readable THEN format('{} {} (none read)', faces, noun)
            ELSE format('{} {} % · {} {} ({} read)',
                        ['angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral'][list_position(mix, list_max(mix))],
                        round(100 * list_max(mix) / n)::INTEGER, faces, noun, read)
        END AS text
    FROM spans, (VALUES (1, 'face'), (2, 'faces')) AS nouns (many, noun)
    WHERE many = least(faces, 2)
),
numbered AS (
    SELECT *, sum(changed) OVER (ORDER BY start_s) AS cue
    FROM (SELECT *, (text IS DISTINCT FROM lag(text) OVER (ORDER BY start_s))::INTEGER AS changed FROM said)
),
cues AS (
    SELECT min(start_s) AS start_s, max(end_s) AS end_s, any_value(text) AS text FROM numbered GROUP BY cue
)
SELECT start_s, coalesce(lead(start_s) OVER (ORDER BY start_s), end_s) AS end_s, text
FROM cues
ORDER BY start_s
