-- title: Attendance
-- description: For each participant of a meeting whose face is ever seen: how long they have a gallery tile (in_s), of that the time
-- with the camera on, with the face there, and with the face readable, each also as a share of in_s; joins and leaves: how often
-- they come into the picture and go before its end (in speaker view or behind a shared screen a participant may be in the meeting and not
-- in the picture). Participants whose camera is never on are not listed: `crowdmood report layouts` counts their tiles.
-- uses: turns
-- plot: bar who face_s
WITH stays AS (
    SELECT run, person, segment, min(start_s) AS start_s, max(end_s) AS end_s, bool_or(live) AS live
    FROM tiles WHERE person IS NOT NULL GROUP BY run, person, segment
),
marked AS (
    SELECT *, coalesce(start_s > lag(end_s) OVER (PARTITION BY run, person ORDER BY start_s) + 1, true) AS joins FROM stays
),
tiled AS (
    SELECT run, person, sum(end_s - start_s) AS in_s, sum(end_s - start_s) FILTER (live) AS camera_s,
        count(*) FILTER (joins) AS joins, min(start_s) AS first_s, max(end_s) AS last_s
    FROM marked GROUP BY run, person
),
ends AS (SELECT run, max(end_s) AS end_s FROM tiles GROUP BY run),
seen AS (
    SELECT run, person, sum(shown_s) AS face_s, sum(shown_s) FILTER (usable) AS readable_s, count(*) FILTER (usable) AS faces
    FROM faces JOIN (SELECT run, frame, shown_s FROM frames) USING (run, frame)
    WHERE run IN (SELECT run FROM tiles) AND person IS NOT NULL GROUP BY run, person
),
spoke AS (SELECT run, person, sum(spoken_s) AS spoken_s FROM turns WHERE person IS NOT NULL GROUP BY run, person),
called AS (SELECT run, number AS person, any_value(name) AS name FROM names WHERE kind = 'person' GROUP BY run, number)
SELECT
    run, person, coalesce(name, 'Participant ' || person) AS who, first_s, last_s, in_s, coalesce(camera_s, 0) AS camera_s,
    coalesce(face_s, 0) AS face_s, coalesce(readable_s, 0) AS readable_s, camera_s / in_s AS camera,
    least(coalesce(face_s, 0) / in_s, 1) AS face, least(coalesce(readable_s, 0) / in_s, 1) AS readable, coalesce(faces, 0) AS faces,
    joins, joins - (last_s >= end_s - 1)::INTEGER AS leaves, coalesce(spoken_s, 0) AS spoken_s
FROM tiled JOIN ends USING (run) LEFT JOIN seen USING (run, person) LEFT JOIN spoke USING (run, person)
LEFT JOIN called USING (run, person)
ORDER BY run, in_s DESC, person
