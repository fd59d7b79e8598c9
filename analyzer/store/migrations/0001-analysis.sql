-- oldest-reader: 1
create extension if not exists vector;

-- One row per session: what it was asked to do, which attempt works on it, how far that came and how it ended.
-- Free space in each page lets a sign of life replace its row in place; the toasted checkpoint of each segment replaces the last.
create table analysis_jobs (
    session_id text collate "C" primary key,
    state text not null check (state in ('running', 'interrupted', 'failed', 'succeeded', 'partial')),
    attempt integer not null check (attempt > 0),
    fingerprint text not null,
    video_url text not null,
    request jsonb not null,
    progress double precision not null default 0 check (progress between 0 and 1),
    next_segment integer not null default 0,
    running integer[] not null default '{}',
    strikes jsonb not null default '{}',
    checkpoint jsonb,
    outcome jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    heartbeat_at timestamptz not null default now()
) with (fillfactor = 70, toast.autovacuum_vacuum_scale_factor = 0.05);

comment on column analysis_jobs.running is 'segments that the attempt has begun and not committed';
comment on column analysis_jobs.strikes is 'by segment: how many attempts died while they worked on it';

create table analysis_segments (
    session_id text collate "C" not null,
    segment integer not null,
    start_ms bigint not null,
    end_ms bigint not null,
    state text not null,
    frames bigint not null,
    sampled_frames bigint not null,
    errors bigint not null,
    primary key (session_id, segment)
);

create table analysis_tracks (
    session_id text collate "C" not null,
    segment integer not null,
    track integer not null,
    label text not null,
    first_ms bigint not null,
    last_ms bigint not null,
    sightings integer not null,
    age_mean double precision,
    age_low double precision,
    age_high double precision,
    gender text,
    gender_confidence double precision,
    attribute_samples integer not null,
    orientation_deg double precision,
    orientation_confidence double precision,
    age_model text,
    gender_model text,
    face_thumbnail boolean not null,
    person_thumbnail boolean not null,
    primary key (session_id, track)
);

create table analysis_scenes (
    session_id text collate "C" not null,
    segment integer not null,
    scene integer not null,
    start_ms bigint not null,
    end_ms bigint not null,
    frame_ms bigint,
    caption text,
    caption_finished boolean,
    primary key (session_id, scene)
);

-- Boxes are fractions of the upright picture, 0 to 1.
create table analysis_detections (
    session_id text collate "C" not null,
    segment integer not null,
    pts_ms bigint not null,
    det integer not null,
    track integer,
    label text not null,
    score double precision not null,
    source text not null,
    box_left double precision not null,
    box_top double precision not null,
    box_width double precision not null,
    box_height double precision not null,
    face_of integer,
    primary key (session_id, pts_ms, det)
);

-- Each space has its own dimension, so an HNSW index is made per space over (v::halfvec(n)), after loading.
create table analysis_embeddings (
    session_id text collate "C" not null,
    segment integer not null,
    space text collate "C" not null,
    kind text collate "C" not null,
    ref bigint not null,
    pts_ms bigint not null,
    dimension integer not null,
    v halfvec not null check (vector_dims(v) = dimension),
    primary key (session_id, space, kind, ref)
);

create index analysis_embeddings_space on analysis_embeddings (space);

-- Foreign keys would make COPY three times slower, and only the store adds rows, in the transaction that locks their job's.
create function analysis_forget() returns trigger language plpgsql as $$
begin
    delete from analysis_segments where session_id = old.session_id;
    delete from analysis_tracks where session_id = old.session_id;
    delete from analysis_scenes where session_id = old.session_id;
    delete from analysis_detections where session_id = old.session_id;
    delete from analysis_embeddings where session_id = old.session_id;
    return old;
end
$$;

create trigger analysis_forget before delete on analysis_jobs for each row execute function analysis_forget();
