-- Details and data are packed texts from here on (text.rs), and so bytes. A text that was stored before is stored as it was.

alter table orchestration alter column detail type bytea using convert_to(detail, 'UTF8');
alter table step alter column detail type bytea using convert_to(detail, 'UTF8');
alter table event alter column data type bytea using convert_to(data, 'UTF8');
alter table enrichment alter column detail type bytea using convert_to(detail, 'UTF8');
