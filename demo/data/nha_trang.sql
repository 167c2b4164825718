-- Phần mềm Một cửa điện tử of a ward: its own tables, and the contract view beside them.
-- Times are local, without an offset; words are the software's own (the configuration maps them).

CREATE TABLE nguoi_nop (
    id              INTEGER PRIMARY KEY,
    ho_ten          TEXT NOT NULL,
    so_dien_thoai   TEXT,                 -- as typed in at intake
    ngay_khai       TEXT NOT NULL         -- when it was typed in
);

CREATE TABLE thu_tuc (
    ma              TEXT PRIMARY KEY,
    ten             TEXT NOT NULL
);

CREATE TABLE ho_so (
    ma_bien_nhan    TEXT PRIMARY KEY,     -- printed on the receipt paper
    nguoi_nop_id    INTEGER NOT NULL REFERENCES nguoi_nop (id),
    thu_tuc_ma      TEXT NOT NULL REFERENCES thu_tuc (ma),
    tinh_trang      TEXT NOT NULL,        -- Mới tiếp nhận, Đang thụ lý, Chờ bổ sung, Đã có kết quả, Đã trả, Công dân rút
    buoc            TEXT NOT NULL,        -- where it lies now
    o_mot_cua       INTEGER NOT NULL,     -- at the one-stop shop
    dung_tinh       INTEGER NOT NULL,     -- the deadline's clock is stopped
    qua_buu_dien    INTEGER NOT NULL,
    ngay_nhan       TEXT NOT NULL,
    ngay_hen_tra    TEXT NOT NULL,
    ngay_co_kq      TEXT,
    cap_nhat        TEXT NOT NULL
);
CREATE INDEX ho_so_cap_nhat ON ho_so (cap_nhat);

CREATE TABLE nhat_ky (
    id              INTEGER PRIMARY KEY,
    ma_bien_nhan    TEXT NOT NULL REFERENCES ho_so (ma_bien_nhan),
    luc             TEXT NOT NULL,
    tinh_trang      TEXT NOT NULL,
    buoc            TEXT NOT NULL
);

CREATE VIEW v_motcua_dossier AS
SELECT hs.ma_bien_nhan              AS receipt_code,
       'H32.30'                     AS agency_code,
       'phường Nha Trang'           AS agency_name,
       hs.tinh_trang                AS status,
       hs.buoc                      AS step_name,
       hs.o_mot_cua                 AS at_one_stop_shop,
       hs.dung_tinh                 AS clock_stopped,
       hs.qua_buu_dien              AS return_by_post,
       nn.so_dien_thoai             AS phone,
       nn.ngay_khai                 AS phone_recorded_at,
       hs.ngay_nhan                 AS received_at,
       hs.ngay_hen_tra              AS due_at,
       hs.ngay_co_kq                AS finished_at,
       hs.cap_nhat                  AS updated_at,
       tt.ma                        AS procedure_code,
       tt.ten                       AS procedure_name
  FROM ho_so hs
  JOIN nguoi_nop nn ON nn.id = hs.nguoi_nop_id
  JOIN thu_tuc tt   ON tt.ma = hs.thu_tuc_ma;
