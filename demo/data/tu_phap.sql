-- The software of a provincial department, in the manner of OpenCPS: English status words, times in milliseconds since
-- 1970, one wide table. Its view has Vietnamese column names: the configuration maps them to the contract's.

CREATE TABLE opencps_dossier (
    dossierid       INTEGER PRIMARY KEY,
    dossierno       TEXT NOT NULL UNIQUE, -- printed on the receipt paper
    applicantname   TEXT NOT NULL,
    contacttelno    TEXT,
    applieddate     INTEGER NOT NULL,     -- when the applicant's data were typed in
    servicecode     TEXT NOT NULL,
    servicename     TEXT NOT NULL,
    dossierstatus   TEXT NOT NULL,        -- processing, waiting, releasing, done, cancelled
    stepname        TEXT NOT NULL,
    counter         INTEGER NOT NULL,     -- at the one-stop shop
    lockstate       TEXT NOT NULL DEFAULT '',  -- 'PAUSE': the deadline's clock is stopped
    viapostal       INTEGER NOT NULL DEFAULT 0,
    receivedate     INTEGER NOT NULL,
    duedate         INTEGER NOT NULL,
    finishdate      INTEGER,
    modifieddate    INTEGER NOT NULL
);
CREATE INDEX opencps_dossier_modified ON opencps_dossier (modifieddate);

CREATE TABLE opencps_dossieraction (
    actionid        INTEGER PRIMARY KEY,
    dossierno       TEXT NOT NULL,
    at              INTEGER NOT NULL,
    dossierstatus   TEXT NOT NULL,
    stepname        TEXT NOT NULL
);

CREATE VIEW v_motcua_dossier AS
SELECT dossierno                                                        AS ma_ho_so,
       'H32.12'                                                         AS ma_co_quan,
       'Sở Tư pháp'                                                     AS ten_co_quan,
       dossierstatus                                                    AS trang_thai,
       stepname                                                         AS ten_buoc,
       counter                                                          AS tai_mot_cua,
       lockstate = 'PAUSE'                                              AS dung_tinh,
       viapostal                                                        AS qua_buu_dien,
       contacttelno                                                     AS dien_thoai,
       date(applieddate / 1000, 'unixepoch', '+7 hours')                AS ngay_khai,
       strftime('%Y-%m-%d %H:%M:%S', receivedate / 1000, 'unixepoch')   AS ngay_nhan,
       strftime('%Y-%m-%d %H:%M:%S', duedate / 1000, 'unixepoch')       AS ngay_hen,
       strftime('%Y-%m-%d %H:%M:%S', finishdate / 1000, 'unixepoch')    AS ngay_xong,
       strftime('%Y-%m-%d %H:%M:%S', modifieddate / 1000, 'unixepoch')  AS cap_nhat,
       servicecode                                                      AS ma_thu_tuc,
       servicename                                                      AS ten_thu_tuc
  FROM opencps_dossier;
