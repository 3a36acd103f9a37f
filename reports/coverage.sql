-- title: Coverage and quality
-- description: One row per run: how much of it could be read. Frames without a face, missing frames, faces and how many could
-- be read (coverage), faces whose person is known, and the median face's size, sharpness, detector score and confidence.
-- plot: bar recording coverage
SELECT
    run, recording, frames_analyzed AS frames, frames_missing AS missing_frames, damaged_packets,
    coalesce(empty.share, 0) AS frames_without_face, coalesce(seen.faces, runs.faces, 0) AS faces, seen.coverage, seen.followed,
    seen.size_px, seen.sharpness, seen.score, seen.confidence
FROM runs
LEFT JOIN (SELECT run, avg((faces = 0)::INTEGER) AS share FROM frames GROUP BY run) AS empty USING (run)
LEFT JOIN (
    SELECT
        run, count(*) AS faces, avg(usable::INTEGER) AS coverage, avg((person IS NOT NULL)::INTEGER) AS followed,
        median(size_px) AS size_px, median(sharpness) AS sharpness, median(score) AS score,
        median(confidence) FILTER (WHERE usable) AS confidence
    FROM faces GROUP BY run
) AS seen USING (run)
ORDER BY run
