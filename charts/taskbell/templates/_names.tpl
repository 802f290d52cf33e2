{{/* Names and labels. A component's objects are called <release>-<component>. */}}

{{- define "taskbell.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 36 characters, so that every derived name stays below 63. */}}
{{- define "taskbell.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 36 | trimSuffix "-" -}}
{{- else if contains (include "taskbell.name" .) .Release.Name -}}
{{- .Release.Name | trunc 36 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "taskbell.name" .) | trunc 36 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The labels that select pods; they never change during the life of a release. */}}
{{- define "taskbell.selector" -}}
app.kubernetes.io/name: {{ include "taskbell.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/* Labels that a new version does not change: those of the bundled stores' pods, so that they do not restart. */}}
{{- define "taskbell.labels.lasting" -}}
{{ include "taskbell.selector" . }}
app.kubernetes.io/part-of: taskbell
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "taskbell.labels" -}}
{{ include "taskbell.labels.lasting" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "taskbell.image" -}}
{{- with get .root.Values.image.overrides .image -}}{{ . }}
{{- else -}}{{ .root.Values.image.registry }}/{{ .image }}:{{ default .root.Chart.AppVersion .root.Values.image.tag }}
{{- end -}}
{{- end -}}
